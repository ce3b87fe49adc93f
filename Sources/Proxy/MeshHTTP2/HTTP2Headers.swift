// Header lists live in one arena per connection, as slices: receiving a list allocates nothing once the arena
// has grown, and forwarding it hands addresses to the other session. The same type holds lists that we make
// ourselves (error responses, gRPC requests) and copies that are kept in case a request must be sent again.

import Glibc
public import NIOCore

/// Position of one header list in the `HTTP2Headers` that holds it.
public struct HeaderBlock: Sendable, Equatable {
    var first: Int32
    /// Number of fields, removed ones included.
    public internal(set) var count: Int32
    /// The list went past `headerListBytesMax`: what is here is a part of it, good for nothing but a 431.
    public internal(set) var isTooLarge: Bool

    static let empty = HeaderBlock(first: 0, count: 0, isTooLarge: false)
}

/// An arena of header lists.
///  A received list stays valid until its session is asked for the event after it; lists that the application
/// builds stay until `removeAll`. One event loop only.
@safe public final class HTTP2Headers {
    // SAFETY: allocated in init, freed in deinit; sessions keep the address only while they keep this object.
    let storage: UnsafeMutablePointer<HeaderStorage>

    /// Makes an empty arena; it grows by doubling.
    public init(byteCapacity: Int = 512, fieldCapacity: Int = 16) {
        unsafe storage = .allocate(capacity: 1)
        unsafe storage.initialize(to: HeaderStorage(byteCapacity: byteCapacity, fieldCapacity: fieldCapacity))
    }

    deinit {
        unsafe storage.pointee.deallocate()
        unsafe storage.deinitialize(count: 1)
        unsafe storage.deallocate()
    }

    /// Forgets every list and keeps the memory.
    public func removeAll() { unsafe storage.pointee.removeAll() }

    /// What the arena takes of memory, in bytes.
    public var memoryByteCount: Int { unsafe storage.pointee.memoryByteCount }

    /// Adds one list; names are lower case, pseudo headers come first. `neverIndexed` lists the values that
    /// must not enter the peer's HPACK table.
    public func append(_ fields: [(name: String, value: String)]) -> HeaderBlock {
        let first = unsafe storage.pointee.fieldCount
        for field in fields { append(field.name, field.value) }
        return HeaderBlock(first: Int32(first), count: Int32(fields.count), isTooLarge: false)
    }

    private func append(_ name: String, _ value: String) {
        var name = name
        var value = value
        // SAFETY: the pointers do not leave the closures, and `append` copies.
        name.withUTF8 { nameBytes in
            value.withUTF8 { valueBytes in
                guard let nameStart = nameBytes.baseAddress else { return }
                let valueStart = unsafe valueBytes.baseAddress ?? nameStart
                unsafe storage.pointee.append(
                    nameStart, nameBytes.count, valueStart, valueBytes.count, flags: 0)
            }
        }
    }

    /// Adds one more field at the end of `block`, which must be the newest list here.
    public func append(name: String, value: String, to block: inout HeaderBlock) {
        precondition(
            unsafe Int(block.first + block.count) == storage.pointee.fieldCount, "not the newest list")
        append(name, value)
        block.count += 1
    }

    /// Copies a list of another arena in two moves; removed fields stay removed.
    public func append(copying block: HeaderBlock, of other: HTTP2Headers) -> HeaderBlock {
        precondition(other !== self, "a list is copied between arenas")
        let first = unsafe storage.pointee.fieldCount
        let copied = unsafe other.storage.pointee.indices(of: block)
        unsafe storage.pointee.append(other.storage.pointee, from: copied.lowerBound, count: copied.count)
        return HeaderBlock(first: Int32(first), count: Int32(copied.count), isTooLarge: block.isTooLarge)
    }
}

// MARK: - Reading

extension HTTP2Headers {
    func find(_ token: HeaderToken, _ block: HeaderBlock) -> Int? {
        for index in unsafe storage.pointee.indices(of: block) {
            // SAFETY: `indices` gives initialised fields only.
            let field = unsafe storage.pointee.fields[index]
            if field.token == token, field.flags & HeaderField.removed == 0 { return index }
        }
        return nil
    }

    func value(at index: Int) -> UnsafeBufferPointer<UInt8> {
        // SAFETY: offsets of a field always lie inside the bytes; callers use the result at once.
        let field = unsafe storage.pointee.fields[index]
        let start = unsafe storage.pointee.bytes + Int(field.offset) + Int(field.nameCount)
        return unsafe UnsafeBufferPointer(start: start, count: Int(field.valueCount))
    }

    /// Whether the list has the field.
    public func contains(_ token: HeaderToken, in block: HeaderBlock) -> Bool { find(token, block) != nil }

    /// The first value of the field, as text. Allocates past 15 bytes; bytes that are not UTF-8 are replaced.
    public func text(of token: HeaderToken, in block: HeaderBlock) -> String? {
        guard let index = find(token, block) else { return nil }
        return unsafe String(decoding: value(at: index), as: UTF8.self)
    }

    /// Whether the field is there and has exactly the bytes of `text`.
    public func value(of token: HeaderToken, in block: HeaderBlock, equals text: String) -> Bool {
        guard let index = find(token, block) else { return false }
        let bytes = unsafe value(at: index)
        // SAFETY: both sides have `count` bytes.
        let isEqual = unsafe text.utf8.withContiguousStorageIfAvailable { other in
            guard let mine = bytes.baseAddress, let theirs = other.baseAddress else {
                return bytes.count == other.count
            }
            return unsafe bytes.count == other.count && memcmp(mine, theirs, other.count) == 0
        }
        return unsafe isEqual ?? bytes.elementsEqual(text.utf8)
    }

    /// Whether the field is there and its value begins with `prefix`.
    public func value(of token: HeaderToken, in block: HeaderBlock, startsWith prefix: StaticString) -> Bool {
        guard let index = find(token, block) else { return false }
        let bytes = unsafe value(at: index)
        let count = prefix.utf8CodeUnitCount
        guard bytes.count >= count else { return false }
        // SAFETY: both sides have `count` bytes.
        for offset in 0..<count where unsafe bytes[offset] != prefix.utf8Start[offset] { return false }
        return true
    }

    /// The field's value as a decimal number; nil when absent, empty, not digits alone, or more than `Int.max`.
    public func number(of token: HeaderToken, in block: HeaderBlock) -> Int? {
        guard let index = find(token, block) else { return nil }
        let bytes = unsafe value(at: index)
        guard !bytes.isEmpty else { return nil }
        var number = 0
        for index in 0..<bytes.count {
            let byte = unsafe bytes[index]
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            let (scaled, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isStillTooLarge) = scaled.addingReportingOverflow(Int(byte - 0x30))
            guard !isTooLarge, !isStillTooLarge else { return nil }
            number = sum
        }
        return number
    }

    /// `content-type` begins with `application/grpc`.
    public func isGRPC(_ block: HeaderBlock) -> Bool {
        value(of: .contentType, in: block, startsWith: "application/grpc")
    }

    /// Every field that was not removed, in order, as text. For logs, taps and tests: allocates.
    public func fields(of block: HeaderBlock) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        for index in unsafe storage.pointee.indices(of: block) {
            let field = unsafe storage.pointee.fields[index]
            guard field.flags & HeaderField.removed == 0 else { continue }
            // SAFETY: as in `value(at:)`.
            let start = unsafe storage.pointee.bytes + Int(field.offset)
            let name = unsafe UnsafeBufferPointer(start: start, count: Int(field.nameCount))
            unsafe fields.append(
                (String(decoding: name, as: UTF8.self), String(decoding: value(at: index), as: UTF8.self)))
        }
        return fields
    }

    /// Every field that was not removed, in order, as bytes. For taps: allocates.
    public func rawFields(of block: HeaderBlock) -> [(name: [UInt8], value: [UInt8])] {
        var fields: [(name: [UInt8], value: [UInt8])] = []
        for index in unsafe storage.pointee.indices(of: block) {
            let field = unsafe storage.pointee.fields[index]
            guard field.flags & HeaderField.removed == 0 else { continue }
            // SAFETY: as in `value(at:)`.
            let start = unsafe storage.pointee.bytes + Int(field.offset)
            let name = unsafe UnsafeBufferPointer(start: start, count: Int(field.nameCount))
            unsafe fields.append((Array(name), Array(value(at: index))))
        }
        return fields
    }

    /// Appends the first value of the field to `buffer`; nothing when the list has none.
    public func write(_ token: HeaderToken, of block: HeaderBlock, to buffer: inout ByteBuffer) {
        guard let index = find(token, block) else { return }
        unsafe buffer.writeBytes(UnsafeRawBufferPointer(value(at: index)))
    }

    /// Leaves every field with that name out when the list is sent.
    public func remove(_ token: HeaderToken, from block: HeaderBlock) {
        for index in unsafe storage.pointee.indices(of: block) {
            // SAFETY: `indices` gives initialised fields only.
            if unsafe storage.pointee.fields[index].token == token {
                unsafe storage.pointee.fields[index].flags |= HeaderField.removed
            }
        }
    }
}
