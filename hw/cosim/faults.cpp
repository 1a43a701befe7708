// Flips for the harness (faults.py): between mesh and tiles, where every clock's wires pass. A memory bit of a tile is turned over
// in the first clock of its GATHER, when no change is on its way and nothing was read yet; an event on a link as it arrives.
struct Flips {
    std::vector<int64_t> rows, met;       // 8 numbers a fault; 0 not met, 1 applied, 2 no defined event
    int64_t* copies[4] = {};              // the harness's copies of U, D, R, r~
    int phase[TILES] = {}, step[TILES][8] = {}, number[TILES][8] = {};
};
static Flips flips;

static void hit_memories(Vtile* tile, int t) {
    for (size_t n = 0; n < flips.met.size(); n++) {
        const int64_t* f = &flips.rows[8 * n];
        if (f[0] != t || f[1] != tile->trace_step || f[2] < 0 || flips.met[n]) continue;
        turn_bit(tile, f[2], f[3], f[4], f[5]);
        if (f[2] < 4) {
            const int unused = 64 - FAULT_WIDTHS[f[2]];
            uint64_t word = (uint64_t)flips.copies[f[2]][f[6]] ^ (uint64_t)1 << f[7];
            flips.copies[f[2]][f[6]] = (int64_t)(word << unused) >> unused;
        }
        flips.met[n] = 1;
    }
}

// Whether a receiver has a place for an event: a position of its block, or one that its neighbours can have.
static bool known(uint64_t event, int link) {
    static const int rows[8] = {-1, -1, -1, 0, 0, 1, 1, 1}, columns[8] = {-1, 0, 1, -1, 1, -1, 0, 1};
    const int k = event & ((1 << FAULT_KB) - 1);
    const int i = (event >> FAULT_KB & ((1 << FAULT_IB) - 1)) + rows[link] * TH;
    const int j = (event >> (FAULT_KB + FAULT_IB) & ((1 << FAULT_JB) - 1)) + columns[link] * TW;
    return k < K && i >= -FAULT_REACH && i < TH + FAULT_REACH && j >= -FAULT_REACH && j < TW + FAULT_REACH;
}

static void hit_links(Vtile* tile, int t) {
    for (int link = 0; link < 8; link++) {
        uint64_t bus = link_of(tile, link);
        const bool last = bus >> (FAULT_EVENT + 1) & bus >> (FAULT_EVENT + 2) & 1;
        if (bus & 1) {
            for (size_t n = 0; n < flips.met.size(); n++) {
                const int64_t* f = &flips.rows[8 * n];
                if (f[0] != t || f[1] != flips.step[t][link] || f[2] >= 0 || f[3] != link || f[4] != flips.number[t][link]) continue;
                const uint64_t event = bus >> 1 & (((uint64_t)1 << FAULT_EVENT) - 1);
                if (f[5] >= 0 && !known(event ^ (uint64_t)1 << f[5], link)) { flips.met[n] = 2; continue; }
                bus ^= f[5] < 0 ? bus & 1 : (uint64_t)2 << f[5];
                flips.met[n] = 1;
            }
            to_link(tile, link, bus);
            flips.number[t][link]++;
        }
        if (last) { flips.step[t][link]++; flips.number[t][link] = 0; }  // what comes now is of the next step
    }
}

static void to_tiles(Vmesh___024root& shell, Vtile* const* tile) {
    wires_to_tiles(shell, tile);
    if (flips.met.empty()) return;
    for (int t = 0; t < TILES; t++) {
        const int phase = tile[t]->trace_phase;
        if (phase == FAULT_GATHER && flips.phase[t] != FAULT_GATHER) hit_memories(tile[t], t);
        flips.phase[t] = phase;
        hit_links(tile[t], t);
    }
}
// ---- after the harness ----
extern "C" {
void sim_faults(Sim* sim, const i64* rows, i64 count) {
    flips = Flips();
    flips.rows.assign(rows, rows + 8 * count);
    flips.met.assign(count, 0);
    i64* copies[4] = {sim->u.data(), sim->d.data(), sim->r.data(), sim->s.data()};
    memcpy(flips.copies, copies, sizeof copies);
}
i64 sim_faults_met(const void** data) { *data = flips.met.data(); return flips.met.size(); }
}
