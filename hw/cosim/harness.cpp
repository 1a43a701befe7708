// Driver and monitor of a compiled mesh: moves beats at the ports, keeps a copy of every state memory from the write traces, and
// calls back whenever a tile ends a step. What is right is decided by the caller. The constants and the wires between the mesh
// and its tiles in front of this file are generated from the plan (harness.py).
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

typedef int64_t i64;
typedef uint64_t u64;

template <class T> static inline u64 bits(const T& v, int lo, int width) {
    u64 m = width >= 64 ? ~0ULL : (1ULL << width) - 1;
    return ((u64)v >> lo) & m;
}
template <std::size_t N> static inline u64 bits(const VlWide<N>& v, int lo, int width) {
    int word = lo >> 5, off = lo & 31;
    u64 x = (u64)v[word] >> off;
    int have = 32 - off;
    if (have < width && word + 1 < (int)N) x |= (u64)v[word + 1] << have;
    have += 32;
    if (have < width && word + 2 < (int)N) x |= (u64)v[word + 2] << have;
    return width >= 64 ? x : x & ((1ULL << width) - 1);
}
template <class T> static inline i64 sbits(const T& v, int lo, int width) {
    u64 x = bits(v, lo, width);
    return (i64)(x << (64 - width)) >> (64 - width);
}

template <class T> static inline bool any(const T& v) { return v != 0; }
template <std::size_t N> static inline bool any(const VlWide<N>& v) {
    for (std::size_t n = 0; n < N; n++) if (v[n]) return true;
    return false;
}

template <class T> static inline void put(T& port, const u64* words) { port = (T)words[0]; }
template <std::size_t N> static inline void put(VlWide<N>& port, const u64* words) {
    for (std::size_t n = 0; n < N; n++) port[n] = (uint32_t)(words[n / 2] >> (n % 2 * 32));
}

// xorshift: the stalls of a port are a fixed function of its seed
struct Stalls {
    u64 s;
    unsigned per256;
    bool next() {
        if (!per256) return false;
        s ^= s << 13; s ^= s >> 7; s ^= s << 17;
        return ((s >> 24) & 255) < per256;
    }
};

typedef int (*StepDone)(int tile, int step);

struct Sim {
    VerilatedContext context;
    std::vector<std::unique_ptr<VerilatedContext>> contexts;  // one a tile: they may run on another thread
    Vmesh top;                                            // the mesh, with empty sockets for the tiles
    Vtile* tile[TILES];
    i64 cycle = 0;         // since reset
    std::string error;
    std::vector<i64> u, d, r, s;                          // copies of the memories, all tiles
    std::vector<i64> phases, beats, pixel_cycles;         // rows (tile, phase, cycle); (k,i,j,y,last,flags,events,cycle,steps,changes)
    std::vector<unsigned char> ready;                     // ready of the code stream by cycle of the frame
    std::vector<std::vector<i64>> events, pixels;         // per tile: rows (k,i,j,dy), rows (c,y,x,dr), since the last step
    int phase[TILES];
    i64 origin = 0;                                       // cycle in which the command was accepted
    i64 hazards = 0, link_events = 0;
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> vcd;
#endif
    // A second thread takes half of the tiles over each clock edge, where asked for.
    std::thread worker;
    std::atomic<u64> asked{0}, answered{0};
    std::atomic<bool> stop{false};
    std::string worker_error;
    int own_tiles = TILES;
    explicit Sim(int threads) : top(&context, "striate"), u(TILES * POSITIONS * K), d(TILES * POSITIONS * K), r(TILES * C * HR * WRC),
            s(TILES * C * HR * WRC), events(TILES), pixels(TILES) {
        for (int t = 0; t < TILES; t++) {
            phase[t] = 0;
#if VM_TRACE
            VerilatedContext* mine = &context;  // one wave file wants one context
#else
            contexts.push_back(std::make_unique<VerilatedContext>());
            VerilatedContext* mine = contexts.back().get();
#endif
            tile[t] = new Vtile(mine, ("tile" + std::to_string(t)).c_str());
            tile[t]->rst = 0; tile[t]->clk = 0; tile[t]->eval();
        }
#if !VM_TRACE
        if (threads > 1 && TILES > 1) {
            own_tiles = TILES / 2;
            worker = std::thread([this] { help(); });
        }
#endif
    }
    ~Sim() {
        if (worker.joinable()) { stop = true; asked++; worker.join(); }
        for (int t = 0; t < TILES; t++) { tile[t]->final(); delete tile[t]; }
    }
    static void wait(const std::atomic<u64>& count, u64 target) {
        for (int spins = 0; count.load(std::memory_order_acquire) < target; spins++)
            if (spins > 4000) std::this_thread::yield();
    }
    void help() {
        for (u64 n = 1;; n++) {
            wait(asked, n);
            if (stop) return;
            try { clock(own_tiles, TILES); } catch (const std::exception& e) { worker_error = e.what(); }
            answered.store(n, std::memory_order_release);
        }
    }
    void clock(int from, int to) {
        for (int t = from; t < to; t++) {
            tile[t]->rst = top.rst; tile[t]->clk = 1; tile[t]->eval();
#if !VM_TRACE
            tile[t]->clk = 0; tile[t]->eval();
#endif
        }
    }
    // Tile outputs are registers: put them into the sockets, let the mesh's wires settle, and take the tiles' inputs back.
    void settle() {
        from_tiles(*top.rootp, tile);
        top.clk = 0; top.eval();
        to_tiles(*top.rootp, tile);
#if VM_TRACE
        if (vcd) { for (int t = 0; t < TILES; t++) tile[t]->eval(); vcd->dump((u64)(2 * cycle)); }
#endif
    }
    void edge() {
        top.clk = 1; top.eval();
        if (own_tiles < TILES) asked.fetch_add(1, std::memory_order_release);
        clock(0, own_tiles);
        if (own_tiles < TILES) {
            wait(answered, asked.load(std::memory_order_relaxed));
            if (!worker_error.empty()) throw std::runtime_error(worker_error);
        }
#if VM_TRACE
        if (vcd) vcd->dump((u64)(2 * cycle + 1));
        for (int t = 0; t < TILES; t++) { tile[t]->clk = 0; tile[t]->eval(); }
#endif
        cycle++;
    }
    void reset(int clocks) {
        top.rst = 1;
        top.COMMAND_VALID = 0; top.PIXELS_VALID = 0; top.WEIGHTS_VALID = 0; top.CODES_READY = 0;
        for (int n = 0; n < clocks; n++) { settle(); edge(); }
        top.rst = 0;
        settle();
        if (top.BUSY || top.CODES_VALID || !top.DIRTY) error = "reset: busy, a code beat or not dirty after it";
        for (int t = 0; t < TILES; t++) {
            if (tile[t]->trace_phase) error = "reset: tile " + std::to_string(t) + " is not idle after it";
            phase[t] = 0; events[t].clear(); pixels[t].clear();
        }
    }
    // what every tile wrote in this cycle; returns a tile that ended a step n, or a refresh before it (-1 - n), through done
    bool observe(StepDone done) {
        bool stop = false;
        for (int t = 0; t < TILES; t++) {
            const Vtile& v = *tile[t];
            int ph = v.trace_phase;
            if (ph != phase[t]) {
                phase[t] = ph;
                phases.push_back(t); phases.push_back(ph); phases.push_back(cycle - origin);
            }
            if (v.trace_hazard) { hazards++; if (error.empty()) error = "hazard in tile " + std::to_string(t) + " at cycle " + std::to_string(cycle - origin); }
            if (v.trace_u_en) {
                i64* at = &u[(i64)t * POSITIONS * K + (i64)v.trace_u_addr * UK];  // one or two positions
                for (int k = 0; k < UK; k++) at[k] = sbits(v.trace_u_data, k * WU, WU);
            }
            if (any(v.trace_d_en)) {
                for (int b = 0; b < PPC; b++) {
                                        u64 a = bits(v.trace_d_addr, b * DAB, DAB);
                    int i = a / DWPR, j = (a % DWPR) * PPC + b;
                    if (i >= TH || j >= TW) continue;
                    i64* at = &d[((i64)t * POSITIONS + i * TW + j) * K];
                    for (int k = 0; k < K; k++)
                        if (bits(v.trace_d_en, b * KG + k / PER, 1)) at[k] = sbits(v.trace_d_data, (b * K + k) * WD, WD);
                }
            }
            if (any(v.trace_r_en)) {
                for (int n = 0; n < SL; n++) {
                    if (!bits(v.trace_r_en, n, 1)) continue;
                    u64 a = bits(v.trace_r_addr, n / PAIR * RAB, RAB);
                    i64 row = a / RWPR; int x = (a % RWPR) * SL + n;
                    if (row < C * HR && x < WRC) r[((i64)t * C * HR + row) * WRC + x] = sbits(v.trace_r_data, n * WR, WR);
                }
            }
            if (any(v.trace_s_en)) {
                u64 a = v.trace_s_addr;
                i64 row = a / SWPR;
                for (int n = 0; n < DL; n++) {
                    int x = (a % SWPR) * DL + n;
                    if (bits(v.trace_s_en, n, 1) && row < C * HR && x < WRC)
                        s[((i64)t * C * HR + row) * WRC + x] = sbits(v.trace_s_data, n * BR, BR);
                }
            }
            if (v.trace_event) {
                events[t].insert(events[t].end(), {(i64)v.trace_event_k, (i64)v.trace_event_i, (i64)v.trace_event_j,
                                                   sbits(v.trace_event_dy, 0, DYW)});
            }
            if (u64 sent = v.trace_sent) link_events += __builtin_popcountll(sent);
            if (v.trace_pixel) {
                pixels[t].insert(pixels[t].end(), {(i64)v.trace_pixel_c, (i64)v.trace_pixel_y, (i64)v.trace_pixel_x,
                                                   sbits(v.trace_pixel_dr, 0, DRW)});
            }
            if (REFRESHED(v)) {
                if (done && done(t, -1 - (int)v.trace_step)) stop = true;
                events[t].clear(); pixels[t].clear();
            }
            if (v.trace_step_done) {
                if (done && done(t, (int)v.trace_step - 1)) stop = true;
                events[t].clear(); pixels[t].clear();
            }
        }
        return stop || !error.empty();
    }
};

#define GUARD(...) try { __VA_ARGS__ } catch (const std::exception& e) { sim->error = e.what(); return -2; }

extern "C" {
Sim* sim_new(int threads) { Sim* sim = new Sim(threads); sim->reset(4); return sim; }
void sim_delete(Sim* sim) {
#if VM_TRACE
    if (sim->vcd) sim->vcd->close();
#endif
    sim->top.final(); delete sim;
}
int sim_wave(Sim* sim, const char* path) {
#if VM_TRACE
    sim->context.traceEverOn(true);
    sim->vcd = std::make_unique<VerilatedVcdC>();
    sim->top.trace(sim->vcd.get(), 99);
    for (int t = 0; t < TILES; t++) sim->tile[t]->trace(sim->vcd.get(), 99);
    sim->vcd->open(path);
    return sim->vcd->isOpen() ? 0 : -1;
#else
    (void)sim; (void)path; return -1;
#endif
}
int sim_reset(Sim* sim, int clocks) { GUARD(sim->reset(clocks); return 0;) }
const char* sim_error(Sim* sim) { return sim->error.c_str(); }
i64* sim_memory(Sim* sim, int which) {
    switch (which) { case 0: return sim->u.data(); case 1: return sim->d.data(); case 2: return sim->r.data(); default: return sim->s.data(); }
}
i64 sim_list(Sim* sim, int which, int tile, const void** data) {
    switch (which) {
        case 0: *data = sim->phases.data(); return sim->phases.size();
        case 1: *data = sim->beats.data(); return sim->beats.size();
        case 2: *data = sim->pixel_cycles.data(); return sim->pixel_cycles.size();
        case 3: *data = sim->ready.data(); return sim->ready.size();
        case 4: *data = sim->events[tile].data(); return sim->events[tile].size();
        default: *data = sim->pixels[tile].data(); return sim->pixels[tile].size();
    }
}
i64 sim_number(Sim* sim, int which) {
    switch (which) { case 0: return sim->cycle; case 1: return sim->hazards; case 2: return sim->link_events; case 3: return sim->top.DIRTY; default: return sim->top.BUSY; }
}
// Load weights: one beat a weight, the first marked. Returns the beats accepted, or a negative number.
i64 sim_weights(Sim* sim, const i64* values, i64 count, u64 seed, int stall, i64 limit) {
    GUARD(
        Stalls stalls{seed | 1, (unsigned)stall};
        i64 n = 0;
        i64 started = sim->cycle;
        while (n < count && sim->cycle - started < limit) {
            bool offer = !stalls.next();
            sim->top.WEIGHTS_VALID = offer;
            if (offer) sim->top.WEIGHTS_PAYLOAD = ((u64)values[n] & ((1ULL << BW) - 1)) | (n == 0 ? 1ULL << BW : 0);
            sim->settle();
            bool taken = offer && sim->top.WEIGHTS_READY;
            sim->observe(nullptr);
            sim->edge();
            n += taken;
        }
        sim->top.WEIGHTS_VALID = 0;
        for (int idle = 0; idle < TILES + 4; idle++) { sim->settle(); sim->edge(); }  // the chain empties
        return n;
    )
}
// One frame. Returns 0: the closing word came; 1: stopped by the callback or a hazard; 2: limit reached; 3: stopped at
// `abandon` cycles on purpose.
int sim_frame(Sim* sim, const u64* command, const i64* pixels, i64 count, u64 seed, int stall_in, int stall_out,
              i64 limit, i64 abandon, StepDone done) {
    GUARD(
        Stalls in{(seed * 0x9E3779B97F4A7C15ULL) | 1, (unsigned)stall_in}, out{(seed * 0xD1342543DE82EF95ULL) | 1, (unsigned)stall_out};
        sim->phases.clear(); sim->beats.clear(); sim->pixel_cycles.clear(); sim->ready.clear();
        sim->link_events = 0; sim->hazards = 0; sim->error.clear();
        bool accepted = false;
        bool offering = false;
        bool waiting = false;  // a code beat was offered and not taken
        u64 offered[4] = {0, 0, 0, 0};
        i64 n = 0;
        i64 began = sim->cycle;
        // a cold frame of as many steps as there are, were it heard
        u64 junk[2] = {(COMMAND < 64 ? (1ULL << (COMMAND & 63)) - 1 : ~0ULL) & ~1ULL, COMMAND > 64 ? (1ULL << (COMMAND & 63)) - 1 : 0};
        sim->top.COMMAND_VALID = 1;
        put(sim->top.COMMAND_PAYLOAD, command);
        for (;;) {
            if (accepted) {
                sim->top.COMMAND_VALID = 0;
                if (!offering) offering = n < count && !in.next();  // once offered, a beat stays until it is taken
                sim->top.PIXELS_VALID = offering;
                if (offering) sim->top.PIXELS_PAYLOAD = (u64)pixels[n] & ((1ULL << DXW) - 1);
            }
            sim->top.CODES_READY = accepted && !out.next();
            bool inside = accepted;
            if (inside) {
                // whoever talks out of turn must not be heard: junk on every input that is not due
                sim->top.COMMAND_VALID = 1; put(sim->top.COMMAND_PAYLOAD, junk);
                sim->top.WEIGHTS_VALID = 1; sim->top.WEIGHTS_PAYLOAD = (1ULL << BW) | (sim->cycle & ((1ULL << BW) - 1));
                if (n == count) { sim->top.PIXELS_VALID = 1; sim->top.PIXELS_PAYLOAD = sim->cycle & ((1ULL << DXW) - 1); }
            }
            sim->settle();
            if (inside && sim->error.empty()) {
                if (sim->top.COMMAND_READY || sim->top.WEIGHTS_READY) sim->error = "protocol: a command or weight is accepted in a frame";
                if (n == count && sim->top.PIXELS_READY) sim->error = "protocol: a pixel beyond the last is accepted";
                if (!sim->top.BUSY) sim->error = "protocol: busy is low in a frame";
            }
            u64 shown[4];
            for (int part = 0; part < 4; part++) {
                int from = part * 32, left = BEAT - from;
                shown[part] = left > 0 ? bits(sim->top.CODES_PAYLOAD, from, left < 32 ? left : 32) : 0;
            }
            if (waiting && sim->error.empty() && (!sim->top.CODES_VALID || memcmp(offered, shown, sizeof shown)))
                sim->error = "protocol: a code beat changed or went before it was taken";
            waiting = sim->top.CODES_VALID && !sim->top.CODES_READY;
            memcpy(offered, shown, sizeof shown);
            if (!accepted && sim->top.COMMAND_READY) { accepted = true; sim->origin = sim->cycle; }
            if (accepted) sim->ready.push_back(sim->top.CODES_READY);
            if (offering && sim->top.PIXELS_READY && sim->top.PIXELS_VALID) {
                sim->pixel_cycles.push_back(sim->cycle - sim->origin); n++; offering = false;
            }
            bool closing = false;
            if (sim->top.CODES_VALID && sim->top.CODES_READY) {
                const auto& b = sim->top.CODES_PAYLOAD;
                i64 row[10] = {0};
                closing = bits(b, CODE_LAST_AT, CODE_LAST_BITS);
                row[4] = closing;
                row[7] = sim->cycle - sim->origin;
                if (closing) {
                    row[5] = bits(b, CODE_OVERFLOW_AT, 1) | bits(b, CODE_SATURATED_AT, 1) << 1 | bits(b, CODE_REFUSED_AT, 1) << 2;
                    row[6] = bits(b, CODE_EVENTS_AT, CODE_EVENTS_BITS);
                    if (CODE_SETTLED_BITS) row[5] |= bits(b, CODE_SETTLED_AT, 1) << 3;
                    if (CODE_STEPS_BITS) row[8] = bits(b, CODE_STEPS_AT, CODE_STEPS_BITS);
                    row[9] = bits(b, CODE_CHANGES_AT, CODE_CHANGES_BITS);
                } else {
                    row[0] = bits(b, CODE_K_AT, CODE_K_BITS);
                    row[1] = bits(b, CODE_I_AT, CODE_I_BITS);
                    row[2] = bits(b, CODE_J_AT, CODE_J_BITS);
                    row[3] = sbits(b, CODE_Y_AT, CODE_Y_BITS);
                }
                sim->beats.insert(sim->beats.end(), row, row + 10);
            }
            bool stop = sim->observe(done);
            sim->edge();
            if (closing) {
                sim->top.CODES_READY = 0; sim->top.PIXELS_VALID = 0; sim->top.COMMAND_VALID = 0; sim->top.WEIGHTS_VALID = 0;
                sim->settle();
                if (sim->top.BUSY && sim->error.empty()) sim->error = "protocol: busy after the closing word";
                sim->observe(nullptr); sim->edge();
                return stop || !sim->error.empty() ? 1 : 0;
            }
            if (stop) return 1;
            if (abandon >= 0 && sim->cycle - began >= abandon) return 3;
            if (sim->cycle - began >= limit) return 2;
        }
    )
}
}
