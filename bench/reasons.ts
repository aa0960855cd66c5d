/** Why a goal was missed, as profiling found it (or that it was not profiled); shown beside the number. */
export const REASONS: Readonly<Record<string, string>> = {
  core_10k_vs_c:
    "with a single connection, so without cache misses, a frame takes 29 ns against 17: each of some 15 reads of the frame and 11 stores into the burst's columns is checked against its bounds; `perf` has 43 % in the look-up, whose misses both sides share, and 25 % in classify",
  afpacket_vs_c: "within the spread of the rounds on this machine; the core's 12 ns are 1 % of the frame",
  cap_zero_loss:
    "where nothing else runs, libpcap's buffer of 16 MB can carry the `cap` forwarder through a trial: runs of one day gave 2.4, 4.7 and 10.1",
  afxdp_vs_c:
    "known, not measured apart: the ring writes and reads a byte a chunk that tells who owns it, so that a thread that dies sends nothing twice, which the reference leaves out; the core's 12 ns are another 1 %",
  afxdp_vs_afpacket:
    "on veth the far end's reception runs in the sender's own time and costs both rings the same; with 512 bytes, where AF_PACKET copies more, it is 1.5",
  bulk_vs_ipforward:
    "`perf` of the whole machine: the director copies each byte twice (recvmmsg and sendmmsg: 3.0 % of all samples, against 5.2 % in sender and receiver together), forwarding in the kernel not at all, and it is a third busy thread on two cores that other work shares",
  services_5000_vs_1:
    "each frame touches its destination's route and counters, 200 KB of them with 5,000, four times the first-level cache; C's cost grows by 1.26",
  latency_poll_vs_c:
    "sleeping and being woken cost more than all else here, and differ from round to round by more than the two programs do: 1.08 (1.03–1.09) in the measurement before this one; not profiled",
  latency_busy_vs_c:
    "0.4 µs of 3.7; a turn's fixed part (clock, generation words, calls into C); not profiled",
};
