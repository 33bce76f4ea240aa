"""Batch exact search of lichen's CUDA module beside PyTorch's matrix product and topk, on one device in one run.

    sh bench/gpu/all.sh

Both get queries in the host's memory and leave results there. Rounds alternate; times are medians. The roofline of a search is
the longer of two times: reading every row once at the bandwidth of a copy on the device, and all products at the rate of a
large matrix product, both measured here. Prints a table, and with --json FILE all numbers.
"""

import argparse
import ctypes as c
import json
import statistics
import time

import numpy as np
import torch

OK = 0
F32, F16, BF16, I8, B1 = 0, 1, 2, 3, 5
ABI = 1


class Device(c.Structure):
    _fields_ = [("name", c.c_char * 256), ("major", c.c_int32), ("minor", c.c_int32), ("multiprocessors", c.c_int32),
                ("driver", c.c_int32), ("runtime", c.c_int32), ("memory", c.c_uint64), ("free", c.c_uint64)]


class Spec(c.Structure):
    _fields_ = [("device", c.c_int32), ("type", c.c_int32), ("is_l2", c.c_int32), ("dim", c.c_uint64),
                ("row_bytes", c.c_uint64)]


class Source(c.Structure):
    _fields_ = [("codes", c.c_void_p), ("scales", c.c_void_p), ("offsets", c.c_void_p), ("squares", c.c_void_p)]


# As LichenCudaQuery and LichenCudaHit lie.
QUERY = np.dtype([("values", "u8"), ("bytes", "u8"), ("base", "f4"), ("per_sum", "f4"), ("per_row", "f4"),
                  ("per_offset", "f4")])
HIT = np.dtype([("distance", "f4"), ("row", "u4")])


class Search(c.Structure):
    _fields_ = [("queries", c.c_void_p), ("count", c.c_uint64), ("k", c.c_uint64), ("rows", c.c_uint64),
                ("source", Source), ("bits", c.c_void_p), ("bits_bytes", c.c_uint64), ("hits", c.c_void_p),
                ("counts", c.c_void_p), ("certain", c.c_void_p)]


class Api(c.Structure):
    _fields_ = [("abi", c.c_uint32), ("message", c.CFUNCTYPE(c.c_char_p)),
                ("device_count", c.CFUNCTYPE(c.c_int, c.POINTER(c.c_int32))),
                ("device", c.CFUNCTYPE(c.c_int, c.c_int32, c.POINTER(Device))),
                ("rows_create", c.CFUNCTYPE(c.c_int, c.POINTER(Spec), c.c_uint64, c.POINTER(c.c_void_p))),
                ("rows_destroy", c.CFUNCTYPE(None, c.c_void_p)),
                ("rows_put", c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(Source), c.c_uint64, c.c_uint64)),
                ("rows_truncate", c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_uint64)),
                ("rows_size", c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(c.c_uint64), c.POINTER(c.c_uint64),
                                          c.POINTER(c.c_uint64))),
                ("rows_search", c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(Search)))]


class Lichen:
    """The module, and one set of rows on the device."""

    def __init__(self, path):
        library = c.CDLL(path)
        library.lichen_cuda_api.restype = c.POINTER(Api)
        self.api = library.lichen_cuda_api(c.c_uint32(ABI)).contents
        self.rows = c.c_void_p()
        count = c.c_int32()
        self.check(self.api.device_count(c.byref(count)))
        self.about = Device()
        self.check(self.api.device(0, c.byref(self.about)))

    def check(self, status):
        if status != OK:
            raise RuntimeError(f"status {status}: {self.api.message().decode()}")

    def put(self, kind, dim, codes, factors=(None, None, None)):
        self.drop()
        self.kind, self.dim, self.codes, self.factors = kind, dim, codes, factors
        spec = Spec(0, kind, 0, dim, codes.strides[0])
        self.check(self.api.rows_create(c.byref(spec), 0, c.byref(self.rows)))
        at = [None if one is None else one.ctypes.data for one in factors]
        self.source = Source(codes.ctypes.data, *at)
        self.check(self.api.rows_put(self.rows, c.byref(self.source), 0, len(codes)))

    def drop(self):
        if self.rows:
            self.api.rows_destroy(self.rows)
            self.rows = c.c_void_p()

    def search(self, queries, k):
        count = len(queries)
        given = np.zeros(count, QUERY)
        at = queries.ctypes.data + np.arange(count, dtype=np.uint64) * queries.strides[0]
        if self.kind in (I8, B1):
            given["bytes"], given["per_sum"] = at, -1
        else:
            given["values"] = at
        hits, counts = np.empty((count, k), HIT), np.empty(count, np.uint32)
        certain = np.empty(count, np.uint8)
        search = Search(given.ctypes.data, count, k, len(self.codes), self.source, None, 0, hits.ctypes.data,
                        counts.ctypes.data, certain.ctypes.data)
        self.check(self.api.rows_search(self.rows, c.byref(search)))
        return hits, int(count - certain.sum())


def torch_search(rows, queries, k, cast):
    """Products by pieces of rows, so that no more than about 4 GB of scores are there at a time."""
    on_device = cast(torch.from_numpy(queries).cuda(non_blocking=True))
    piece = max(k, min(len(rows), int(4e9) // (2 * len(queries))))
    best = None
    for first in range(0, len(rows), piece):
        part = rows[first:first + piece]
        scores, at = torch.topk(on_device @ part.T, min(k, len(part)))
        at = at + first
        if best is not None:
            scores, at = torch.cat([best[0], scores], 1), torch.cat([best[1], at], 1)
            scores, order = torch.topk(scores, k)
            at = at.gather(1, order)
        best = (scores, at)
    return best[0].float().cpu(), best[1].cpu()


def median_seconds(call, rounds):
    times = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def bandwidth():
    a = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    b = torch.empty_like(a)
    b.copy_(a)
    seconds = min(event_seconds(lambda: b.copy_(a)) for _ in range(10))
    return 2 * a.numel() / seconds


def product_rate(dtype):
    n = 8192
    a = torch.randn(n, n, device="cuda").to(dtype)
    b = torch.randn(n, n, device="cuda").to(dtype)
    a @ b
    return 2 * n**3 / statistics.median(event_seconds(lambda: a @ b) for _ in range(10))


def event_seconds(call):
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--module", default="build/cuda/lichen-cuda.so")
    parse.add_argument("--rows", default="1000000,10000000")
    parse.add_argument("--dim", type=int, default=128)
    parse.add_argument("--types", default="f16,f32,i8,b1")
    parse.add_argument("--batches", default="1,16,256,4096")
    parse.add_argument("--k", default="10,100")
    parse.add_argument("--rounds", type=int, default=7)
    parse.add_argument("--json")
    given = parse.parse_args()
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = True  # as lichen's products of f32
    lichen = Lichen(given.module)
    bytes_a_second = bandwidth()
    rates = {"f16": product_rate(torch.float16), "f32": product_rate(torch.float32)}
    # int8 has twice the rate of f16 on every device that has it.
    rates["i8"] = rates["b1"] = 2 * rates["f16"]
    print(f"{lichen.about.name.decode()}: copies {bytes_a_second / 1e9:.0f} GB/s, products f16 {rates['f16'] / 1e12:.0f}, "
          f"f32 (tf32) {rates['f32'] / 1e12:.0f} TFLOP/s", flush=True)
    print(f"{'type':5}{'rows':>10}{'batch':>7}{'k':>5}{'lichen QPS':>13}{'share':>7}{'torch QPS':>12}{'ratio':>7}{'same':>8}"
          f"{'left':>6}", flush=True)
    results = []
    for count in (int(n) for n in given.rows.split(",")):
        for kind in given.types.split(","):
            results += measure(lichen, kind, count, given, bytes_a_second, rates[kind])
    if given.json:
        with open(given.json, "w") as file:
            json.dump({"device": lichen.about.name.decode(), "bandwidth": bytes_a_second, "rates": rates,
                       "results": results}, file)


def prepare(lichen, kind, count, dim):
    """Rows on the device for both; queries, and how PyTorch gets them."""
    made = torch.randn(count, dim, device="cuda")
    queries = np.random.default_rng(2).standard_normal((4096, dim), np.float32)
    if kind == "f16":
        rows = made.half()
        lichen.put(F16, dim, rows.cpu().numpy())
        return rows, queries, lambda q: q.half()
    if kind == "f32":
        lichen.put(F32, dim, made.cpu().numpy())
        return made, queries, lambda q: q
    ones = (np.ones(count, np.float32), None, None)
    signed = np.clip(queries * 2, -7, 7).astype(np.int8)
    if kind == "i8":
        codes = (made * 40 + 128).clamp(0, 255).to(torch.uint8)
        lichen.put(I8, dim, codes.cpu().numpy(), ones)
        return codes.half(), signed, lambda q: q.half()
    bits = (made > 0).cpu().numpy()
    lichen.put(B1, dim, np.packbits(bits, axis=1, bitorder="little"), ones)
    return (made > 0).half(), signed, lambda q: q.half()


def measure(lichen, kind, count, given, bytes_a_second, rate):
    dim = given.dim
    rows, queries, cast = prepare(lichen, kind, count, dim)
    results = []
    for k in (int(n) for n in given.k.split(",")):
        for batch in (int(n) for n in given.batches.split(",")):
            some = np.ascontiguousarray(queries[:batch])
            hits, left = lichen.search(some, k)
            scores, at = torch_search(rows, some, k, cast)
            same = np.mean([len(np.intersect1d(hits["row"][q], at[q].numpy())) / k for q in range(batch)])
            times = {"lichen": [], "torch": []}
            for _ in range(given.rounds):
                times["lichen"].append(median_seconds(lambda: lichen.search(some, k), 3))
                times["torch"].append(median_seconds(lambda: torch_search(rows, some, k, cast), 1))
            seconds = {name: statistics.median(all_) for name, all_ in times.items()}
            ratios = sorted(b / a for a, b in zip(times["lichen"], times["torch"]))
            floor = max(count * lichen.codes.strides[0] / bytes_a_second, 2 * count * dim * batch / rate)
            results.append({"type": kind, "rows": count, "dim": dim, "batch": batch, "k": k, "same": float(same),
                            "left": left, "lichenQps": batch / seconds["lichen"], "torchQps": batch / seconds["torch"],
                            "roofline": floor / seconds["lichen"], "ratio": statistics.median(ratios),
                            "ratioMin": ratios[0], "ratioMax": ratios[-1]})
            one = results[-1]
            print(f"{kind:5}{count:>10}{batch:>7}{k:>5}{one['lichenQps']:>13.0f}{one['roofline']:>7.2f}"
                  f"{one['torchQps']:>12.0f}{one['ratio']:>7.2f}{same:>8.4f}{left:>6}", flush=True)
    lichen.drop()
    return results


if __name__ == "__main__":
    main()
