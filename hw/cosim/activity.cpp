// Toggle counters for the harness (activity.py): once a clock, when everything has settled, every bit of every net of every tile is
// compared with the clock before. BITS and WORDS, the bits of all nets and their words of 32, are generated in front of this file.
#include <algorithm>
#include <vector>
static uint64_t toggles[BITS], high[BITS], clocks_seen;
static bool counting = false;
static struct Last {
    std::vector<uint64_t> words = std::vector<uint64_t>(WORDS);
    bool valid = false;
} last[TILES];

static inline void part(uint64_t now, uint64_t& before, int first) {
    for (uint64_t d = now ^ before; d; d &= d - 1) toggles[first + __builtin_ctzll(d)]++;
    before = now;
}
template <class T> static inline void look(const T& v, uint64_t* before, int first) { part((uint64_t)v, *before, first); }
template <std::size_t N> static inline void look(const VlWide<N>& v, uint64_t* before, int first) {
    for (std::size_t n = 0; n < N; n++) part(v[n], before[n], first + 32 * n);
}
template <class T> static inline void level(const T& v, int first, int bit) { high[first + bit] += (uint64_t)v >> bit & 1; }
template <std::size_t N> static inline void level(const VlWide<N>& v, int first, int bit) {
    high[first + bit] += v[bit >> 5] >> (bit & 31) & 1;
}
// ---- looks at each net, generated ----
static void to_tiles(Vmesh___024root& shell, Vtile* const* tile) {
    wires_to_tiles(shell, tile);
    if (!counting) return;
    clocks_seen++;
    for (int t = 0; t < TILES; t++) {
        tile[t]->eval();
        if (!last[t].valid) {  // the first look only takes note
            std::vector<uint64_t> kept(toggles, toggles + BITS);
            look_at(tile[t], last[t].words.data());
            std::copy(kept.begin(), kept.end(), toggles);
            last[t].valid = true;
        } else {
            look_at(tile[t], last[t].words.data());
        }
        levels_of(tile[t]);
    }
}
// ---- after the harness ----
extern "C" {
void sim_activity_begin() {
    std::fill(toggles, toggles + BITS, 0);
    std::fill(high, high + BITS, 0);
    clocks_seen = 0;
    counting = true;
    for (Last& l : last) l.valid = false;
}
i64 sim_activity(const u64** t, const u64** h) { counting = false; *t = toggles; *h = high; return clocks_seen; }
}
