// One program for all parsers: `FUZZ_PARSER` names the one, the arguments are libFuzzer's.
//
// A harness checks more than that nothing traps: what was read from a part of the input must hold for the whole,
// and what a parser accepts must be accepted again after it was written.

import Glibc

/// libFuzzer as a library: its own `main` stays out, because Swift brings one.
@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

let chosen = getenv("FUZZ_PARSER").map { String(cString: $0) } ?? ""
guard let parser = parsers[chosen] else {
    print("set FUZZ_PARSER to one of: \(parsers.keys.sorted().joined(separator: " "))")
    exit(chosen == "list" ? 0 : 64)
}
/// Read by the C callback, which can capture nothing.
nonisolated(unsafe) let parse: ([UInt8]) -> Void = parser

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(
    runDriver(&count, &arguments) { bytes, count in
        parse(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    })
