// The compiled AXI top with a master and a receiver around it, and a checker of the protocol between them.
//
// Every port stands still at random: a seed and a rate in 256ths a port. A clock is: inputs for this clock are set, the
// outputs (which must not move: no combinational path crosses the core) are sampled, handshakes happen, rising edge.

#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

struct Random {
    uint64_t state;
    uint64_t next() {  // xorshift64*
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        return state * 2685821657736338717ull;
    }
    bool often(int rate) { return int(next() >> 56) < rate; }
};

struct Write { uint32_t address, data, strobe; };
struct Beat { uint32_t data; uint8_t tid, last; };

// what a sender may not change while it waits
struct Held {
    bool waiting = false;
    uint64_t payload = 0;
};

enum { AW, W, B, AR, R, SOURCE, SINK, PORTS };

struct Simulation {
    VerilatedContext context;
    Vtop* top;
#if VM_TRACE
    VerilatedVcdC* wave = nullptr;
#endif
    Random random{1};
    int stall[PORTS] = {};
    int64_t clock = 0, aw = 0, w = 0, b = 0, ar = 0, r = 0, closings = 0, expected_tid = 0;
    int64_t violations = 0, stalled[PORTS] = {}, silent_write = 0, silent_read = 0;
    std::string first;
    std::vector<Write> writes;
    std::vector<uint32_t> reads;
    std::deque<Beat> source;
    std::vector<int64_t> answers, beats;  // answers: (kind 0 B or 1 R, resp, data); beats: (data, last, user, tid, clock)
    bool offering[PORTS] = {}, hold_sink = false;
    Held held[PORTS];

    Simulation() {
        top = new Vtop(&context);
        quiet();
        top->aresetn = 0;
        top->aclk = 0;
    }
    ~Simulation() {
#if VM_TRACE
        if (wave) wave->close();
        delete wave;
#endif
        delete top;
    }

    void violated(const char* text) {
        if (!violations++) first = "clock " + std::to_string(clock) + ": " + text;
    }

    void quiet() {
        top->s_axi_awvalid = top->s_axi_wvalid = top->s_axi_arvalid = top->s_axi_bready = top->s_axi_rready = 0;
        top->s_axis_tvalid = top->m_axis_tready = 0;
        for (bool& one : offering) one = false;
    }

    // the outputs of the core, to see that they do not follow its inputs
    uint64_t outputs() const {
        uint64_t code = top->s_axi_awready | top->s_axi_wready << 1 | top->s_axi_bvalid << 2 | top->s_axi_arready << 3 |
                        top->s_axi_rvalid << 4 | top->s_axis_tready << 5 | top->m_axis_tvalid << 6 |
                        top->m_axis_tlast << 7 | top->m_axis_tuser << 8 | top->irq << 9 | top->s_axi_bresp << 10 |
                        top->s_axi_rresp << 12;
        for (uint64_t part : {uint64_t(top->s_axi_rdata), uint64_t(top->m_axis_tdata), uint64_t(top->m_axis_tid)})
            code = (code ^ part) * 1099511628211ull;
        return code;
    }

    void dump(int phase) {
#if VM_TRACE
        if (wave) wave->dump(uint64_t(clock) * 10 + phase);
#endif
        (void)phase;
    }

    // a sender begins to offer unless it stands still; once it offers it goes on until it is taken
    bool offers(int port, bool any) {
        if (!offering[port] && any && !random.often(stall[port])) offering[port] = true;
        if (!offering[port] && any) stalled[port]++;
        return offering[port];
    }

    void drive() {
        uint64_t noise = random.next();
        bool on = offers(AW, aw < int64_t(writes.size()));
        top->s_axi_awvalid = on;
        top->s_axi_awaddr = on ? writes[aw].address : noise;
        top->s_axi_awprot = noise >> 8;
        on = offers(W, w < int64_t(writes.size()));
        top->s_axi_wvalid = on;
        top->s_axi_wdata = on ? writes[w].data : uint32_t(noise >> 16);
        top->s_axi_wstrb = on ? writes[w].strobe : noise >> 11;
        on = offers(AR, ar < int64_t(reads.size()));
        top->s_axi_arvalid = on;
        top->s_axi_araddr = on ? reads[ar] : noise >> 48;
        top->s_axi_arprot = noise >> 13;
        on = offers(SOURCE, !source.empty());
        top->s_axis_tvalid = on;
        top->s_axis_tdata = on ? source.front().data : uint32_t(noise >> 20);
        top->s_axis_tid = on ? source.front().tid : noise >> 52;
        top->s_axis_tlast = on ? source.front().last : noise >> 55;
        top->s_axi_bready = !random.often(stall[B]);
        top->s_axi_rready = !random.often(stall[R]);
        top->m_axis_tready = !hold_sink && !random.often(stall[SINK]);
    }

    void steady(int port, bool valid, bool ready, uint64_t payload, const char* fell, const char* moved) {
        if (held[port].waiting && !valid) violated(fell);
        if (held[port].waiting && valid && payload != held[port].payload) violated(moved);
        held[port] = {valid && !ready, payload};
        if (valid && !ready) stalled[port]++;
    }

    void check() {
        steady(B, top->s_axi_bvalid, top->s_axi_bready, top->s_axi_bresp, "BVALID fell before BREADY",
               "BRESP changed while it waited");
        steady(R, top->s_axi_rvalid, top->s_axi_rready, uint64_t(top->s_axi_rdata) << 2 | top->s_axi_rresp,
               "RVALID fell before RREADY", "RDATA or RRESP changed while it waited");
        uint64_t mix = top->m_axis_tdata ^ (uint64_t(top->m_axis_tid) << 20 | uint64_t(top->m_axis_tlast) << 30 |
                                            uint64_t(top->m_axis_tuser) << 31) * 0x9E3779B97F4A7C15ull;
        steady(SINK, top->m_axis_tvalid, top->m_axis_tready, mix, "TVALID fell before TREADY",
               "the beat of m_axis changed while it waited");
        // one response for each write whose address and data were taken in an earlier clock, one for each read
        int64_t due = (aw < w ? aw : w) - b;
        if (top->s_axi_bvalid && due < 1) violated("a write response without a write");
        if (top->s_axi_rvalid && ar - r < 1) violated("read data without a read");
        silent_write = due > 0 && !top->s_axi_bvalid ? silent_write + 1 : 0;
        silent_read = ar - r > 0 && !top->s_axi_rvalid ? silent_read + 1 : 0;
        if (silent_write == 16) violated("no response to a write for 16 clocks");
        if (silent_read == 16) violated("no answer to a read for 16 clocks");
        if (top->s_axi_bvalid && (top->s_axi_bresp & 1)) violated("BRESP is neither OKAY nor SLVERR");
        if (top->s_axi_rvalid && (top->s_axi_rresp & 1)) violated("RRESP is neither OKAY nor SLVERR");
        if (top->m_axis_tvalid && top->m_axis_tlast != top->m_axis_tuser) violated("TLAST is not the closing word's");
        if (top->m_axis_tvalid && top->m_axis_tid != (expected_tid & 255)) violated("TID is not the frame's number");
    }

    void handshakes() {
        if (top->s_axi_awvalid && top->s_axi_awready) aw++, offering[AW] = false;
        if (top->s_axi_wvalid && top->s_axi_wready) w++, offering[W] = false;
        if (top->s_axi_arvalid && top->s_axi_arready) ar++, offering[AR] = false;
        if (top->s_axis_tvalid && top->s_axis_tready) source.pop_front(), offering[SOURCE] = false;
        if (top->s_axi_bvalid && top->s_axi_bready) {
            b++;
            answers.insert(answers.end(), {0, top->s_axi_bresp, 0});
        }
        if (top->s_axi_rvalid && top->s_axi_rready) {
            r++;
            answers.insert(answers.end(), {1, top->s_axi_rresp, int64_t(top->s_axi_rdata)});
        }
        if (top->m_axis_tvalid && top->m_axis_tready) {
            beats.insert(beats.end(), {int64_t(top->m_axis_tdata), top->m_axis_tlast, top->m_axis_tuser, top->m_axis_tid,
                                       clock});
            if (top->m_axis_tlast) closings++, expected_tid++;
        }
    }

    void edge() {
        dump(0);
        top->aclk = 1;
        top->eval();
        dump(5);
        clock++;
    }

    void step() {
        uint64_t before = outputs();
        drive();
        top->aclk = 0;
        top->eval();
        if (outputs() != before) violated("an output follows an input without a clock");
        check();
        handshakes();
        edge();
    }

    void reset(int clocks) {
        quiet();
        top->aresetn = 0;
        for (int n = 0; n < clocks; n++) {
            top->aclk = 0;
            top->eval();
            if (n && (top->s_axi_bvalid || top->s_axi_rvalid || top->m_axis_tvalid)) violated("VALID is high in reset");
            edge();
        }
        top->aresetn = 1;
        top->aclk = 0;
        top->eval();
        writes.clear(), reads.clear(), source.clear();
        aw = w = b = ar = r = silent_write = silent_read = expected_tid = 0;
        for (Held& one : held) one = Held();
    }

    bool done(int until, int64_t target) const {
        if (until & 1 && (b < int64_t(writes.size()) || r < int64_t(reads.size()))) return false;
        if (until & 2 && !source.empty()) return false;
        if (until & 4 && closings < target) return false;
        return true;
    }
};

extern "C" {
Simulation* axi_new() { return new Simulation; }
void axi_delete(Simulation* s) { delete s; }
int axi_wave(Simulation* s, const char* path) {
#if VM_TRACE
    s->context.traceEverOn(true);
    s->wave = new VerilatedVcdC;
    s->top->trace(s->wave, 99);
    s->wave->open(path);
    return s->wave->isOpen() ? 0 : 1;
#else
    (void)s, (void)path;
    return 1;
#endif
}
void axi_behave(Simulation* s, uint64_t seed, const int* rates) {
    if (seed) s->random.state = seed;
    for (int port = 0; port < PORTS; port++) s->stall[port] = rates[port];
}
void axi_hold(Simulation* s, int hold) { s->hold_sink = hold; }
void axi_write(Simulation* s, uint32_t address, uint32_t data, uint32_t strobe) {
    s->writes.push_back({address, data, strobe});
}
void axi_read(Simulation* s, uint32_t address) { s->reads.push_back(address); }
void axi_send(Simulation* s, const int64_t* beats, int64_t count) {  // rows (data, tid, last)
    for (int64_t n = 0; n < count; n++)
        s->source.push_back({uint32_t(beats[3 * n]), uint8_t(beats[3 * n + 1]), uint8_t(beats[3 * n + 2])});
}
void axi_withdraw(Simulation* s) {  // the rest of what was to be sent, but for a beat that is offered
    while (s->source.size() > (s->offering[SOURCE] ? 1u : 0u)) s->source.pop_back();
}
void axi_reset(Simulation* s, int clocks) { s->reset(clocks); }
// 1: until everything that `until` names is done (1 bus, 2 stream, 4 `target` closing words); 0: `limit` clocks passed
int axi_run(Simulation* s, int until, int64_t target, int64_t limit) {
    try {
        for (int64_t n = 0; n < limit; n++) {
            if (until && s->done(until, target)) return 1;
            s->step();
        }
    } catch (const std::exception& error) {
        s->violated(error.what());
        return 0;
    }
    return until ? s->done(until, target) : 1;
}
int64_t axi_number(Simulation* s, int which) {
    switch (which) {
        case 0: return s->clock;
        case 1: return s->violations;
        case 2: return s->closings;
        case 3: return s->top->irq;
        case 4: return s->source.size();
        default: return s->stalled[which - 10];
    }
}
const char* axi_first(Simulation* s) { return s->first.c_str(); }
// the list and, after it was read, an empty one: 0 answers (rows of 3), 1 beats (rows of 5)
int64_t axi_list(Simulation* s, int which, const int64_t** data) {
    std::vector<int64_t>& list = which ? s->beats : s->answers;
    *data = list.data();
    return list.size();
}
void axi_forget(Simulation* s, int which) { (which ? s->beats : s->answers).clear(); }
}
