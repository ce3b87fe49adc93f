// One program for all parsers: `FUZZ_PARSER` names the one, the arguments are libFuzzer's.
//
// A harness checks more than that nothing traps: what was read from a part of the input must hold for the whole,
// and what a parser accepts must be accepted again after it was written.

import Glibc

/// libFuzzer's own entry: its `main` stays out, because Swift brings one.
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

/// What libFuzzer calls with each input; its library wants it by this name.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    parse(Array(UnsafeBufferPointer(start: bytes, count: count)))
    return 0
}

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(runDriver(&count, &arguments, testOneInput))
