// Lists built from, and read as, bytes that lie elsewhere: what carries HTTP/1 heads over HTTP/2 makes no string
// for a field.

public import NIOCore

extension HTTP2Headers {
    /// Starts an empty list behind everything that is here; `append` grows it while it is the newest.
    public func begin() -> HeaderBlock {
        HeaderBlock(first: unsafe Int32(storage.pointee.fieldCount), count: 0, isTooLarge: false)
    }

    /// Adds a field, its name in lower case as HTTP/2 demands. `block` must be the newest list here.
    public func append(lowercasing name: Span<UInt8>, value: Span<UInt8>, to block: inout HeaderBlock) {
        // SAFETY: the lowered copy lives as long as the closure, and `append` copies it.
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(1, name.count)) { lowered in
            for index in 0..<name.count {
                let byte = name[index]
                unsafe lowered[index] = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
            }
            guard let start = lowered.baseAddress else { return }
            unsafe append(start, name.count, value, to: &block)
        }
    }

    /// Adds a field whose name is lower case already. `block` must be the newest list here.
    public func append(_ name: StaticString, value: Span<UInt8>, to block: inout HeaderBlock) {
        unsafe append(name.utf8Start, name.utf8CodeUnitCount, value, to: &block)
    }

    /// Adds a field of constants. `block` must be the newest list here.
    public func append(_ name: StaticString, _ value: StaticString, to block: inout HeaderBlock) {
        // SAFETY: constants live for ever, with the lengths they state.
        let bytes = unsafe UnsafeBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount)
        unsafe append(name.utf8Start, name.utf8CodeUnitCount, bytes.span, to: &block)
    }

    private func append(
        _ name: UnsafePointer<UInt8>, _ nameCount: Int, _ value: Span<UInt8>, to block: inout HeaderBlock
    ) {
        precondition(
            unsafe Int(block.first + block.count) == storage.pointee.fieldCount, "not the newest list")
        // SAFETY: the pointer does not leave the closure, and `append` copies; an empty value is never read.
        unsafe value.withUnsafeBufferPointer { bytes in
            unsafe storage.pointee.append(name, nameCount, bytes.baseAddress ?? name, bytes.count, flags: 0)
        }
        block.count += 1
    }

    /// Calls `body` with every field that was not removed, in order. The spans end with the call.
    public func forEachField(
        of block: HeaderBlock, _ body: (HeaderToken, _ name: Span<UInt8>, _ value: Span<UInt8>) -> Void
    ) {
        for index in unsafe storage.pointee.indices(of: block) {
            // SAFETY: the block lies inside the initialised fields, and a field's offsets inside the bytes. They stay
            // where they are, because nothing is appended here while `body` runs.
            let field = unsafe storage.pointee.fields[index]
            guard field.flags & HeaderField.removed == 0 else { continue }
            let start = unsafe storage.pointee.bytes + Int(field.offset)
            let name = unsafe UnsafeBufferPointer(start: start, count: Int(field.nameCount))
            let value = unsafe UnsafeBufferPointer(start: start + Int(field.nameCount), count: Int(field.valueCount))
            unsafe body(field.token, name.span, value.span)
        }
    }

    /// Calls `body` with the first value of the field; nil when the list has none. The span ends with the call.
    public func withValue<R>(of token: HeaderToken, in block: HeaderBlock, _ body: (Span<UInt8>) -> R) -> R? {
        guard let index = find(token, block) else { return nil }
        return unsafe body(value(at: index).span)
    }
}

extension ByteBuffer {
    /// Writes the bytes of a span.
    public mutating func write(_ bytes: Span<UInt8>) {
        // SAFETY: the same bytes without their type; the call copies them.
        unsafe writeBytes(bytes.bytes)
    }

    /// Writes `name: value` and the end of the line.
    public mutating func writeFieldLine(_ name: Span<UInt8>, _ value: Span<UInt8>) {
        let count = name.count + value.count + 4
        // SAFETY: there is room for `count` bytes, and every one of them is written: the name's, the value's, and four.
        unsafe writeWithUnsafeMutableBytes(minimumWritableBytes: count) { line in
            unsafe name.withUnsafeBytes { unsafe line.copyMemory(from: $0) }
            unsafe line[name.count] = UInt8(ascii: ":")
            unsafe line[name.count + 1] = UInt8(ascii: " ")
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: line[(name.count + 2)...])
            unsafe value.withUnsafeBytes { unsafe rest.copyMemory(from: $0) }
            unsafe line[count - 2] = UInt8(ascii: "\r")
            unsafe line[count - 1] = UInt8(ascii: "\n")
            return count
        }
    }
}
