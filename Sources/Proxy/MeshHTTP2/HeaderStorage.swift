/// One field as offsets into its storage: the value's bytes follow the name's.
struct HeaderField {
    var offset: UInt32
    var nameCount: UInt32
    var valueCount: UInt32
    var token: HeaderToken
    var flags: UInt8

    /// Equals nghttp2's flag of the same meaning: HPACK must never index the field.
    static let neverIndex: UInt8 = 0x01
    /// The field was removed and is skipped when the block is sent.
    static let removed: UInt8 = 0x80
}

/// One growing piece of memory for bytes, one for fields. Trivial on purpose: C callbacks reach it by
/// address, with no reference counting. `HTTP2Headers` owns it. A capacity of 0 costs next to nothing.
@unsafe struct HeaderStorage {
    private(set) var bytes: UnsafeMutablePointer<UInt8>
    private(set) var byteCount = 0
    private(set) var byteCapacity: Int
    private(set) var fields: UnsafeMutablePointer<HeaderField>
    private(set) var fieldCount = 0
    private var fieldCapacity: Int

    init(byteCapacity: Int, fieldCapacity: Int) {
        unsafe self.byteCapacity = byteCapacity
        unsafe self.fieldCapacity = fieldCapacity
        unsafe bytes = .allocate(capacity: byteCapacity)
        unsafe fields = .allocate(capacity: fieldCapacity)
    }

    /// Whether there is anything to lend.
    var ownsMemory: Bool { unsafe byteCapacity > 0 || fieldCapacity > 0 }

    /// Bytes of both pieces.
    var memoryByteCount: Int { unsafe byteCapacity + fieldCapacity * MemoryLayout<HeaderField>.stride }

    /// Frees both pieces; the owner calls it once.
    func deallocate() {
        unsafe bytes.deallocate()
        unsafe fields.deallocate()
    }

    /// The fields of a block, or none when the block is older than what is here.
    func indices(of block: HeaderBlock) -> Range<Int> {
        let first = Int(block.first)
        let end = first + Int(block.count)
        return unsafe end <= fieldCount ? first..<end : 0..<0
    }

    mutating func removeAll() {
        unsafe byteCount = 0
        unsafe fieldCount = 0
    }

    /// Appends a copy of one field. The caller has bounded both counts by `headerListBytesMax`.
    mutating func append(
        _ name: UnsafePointer<UInt8>, _ nameCount: Int, _ value: UnsafePointer<UInt8>, _ valueCount: Int,
        flags: UInt8
    ) {
        // SAFETY: both sources hold the stated counts; `reserve` made room for the sum, and the memory is
        // ours.
        unsafe reserve(bytes: nameCount + valueCount, fields: 1)
        let start = unsafe bytes + byteCount
        unsafe start.update(from: name, count: nameCount)
        unsafe (start + nameCount).update(from: value, count: valueCount)
        let field = unsafe HeaderField(
            offset: UInt32(byteCount), nameCount: UInt32(nameCount), valueCount: UInt32(valueCount),
            token: HeaderToken.classify(name, nameCount), flags: flags)
        unsafe (fields + fieldCount).initialize(to: field)
        unsafe fieldCount += 1
        unsafe byteCount += nameCount + valueCount
    }

    /// Appends `count` neighbouring fields of another storage.
    mutating func append(_ other: HeaderStorage, from start: Int, count: Int) {
        guard count > 0 else { return }
        // SAFETY: the fields exist in `other`, lie behind one another there, and there is room for them here.
        let base = unsafe Int(other.fields[start].offset)
        let last = unsafe other.fields[start + count - 1]
        let length = Int(last.offset + last.nameCount + last.valueCount) - base
        unsafe reserve(bytes: length, fields: count)
        unsafe (bytes + byteCount).update(from: other.bytes + base, count: length)
        for index in 0..<count {
            var field = unsafe other.fields[start + index]
            field.offset = unsafe UInt32(Int(field.offset) - base + byteCount)
            unsafe (fields + fieldCount + index).initialize(to: field)
        }
        unsafe fieldCount += count
        unsafe byteCount += length
    }

    /// Drops the fields before index `first`, and moves the rest to the front.
    mutating func dropFields(before first: Int) {
        guard first > 0 else { return }
        guard unsafe first < fieldCount else { return unsafe removeAll() }
        // SAFETY: both moves stay inside what was initialised, and go towards the front.
        let base = unsafe Int(fields[first].offset)
        unsafe bytes.update(from: bytes + base, count: byteCount - base)
        unsafe fields.update(from: fields + first, count: fieldCount - first)
        unsafe byteCount -= base
        unsafe fieldCount -= first
        for index in unsafe 0..<fieldCount { unsafe fields[index].offset -= UInt32(base) }
    }

    private mutating func reserve(bytes extra: Int, fields extraFields: Int) {
        // SAFETY: the new memory is at least as large as what is copied; the old is freed once.
        if unsafe byteCount + extra > byteCapacity {
            let capacity = unsafe max(byteCapacity * 2, (byteCount + extra + 15) & ~15)
            let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
            unsafe grown.update(from: bytes, count: byteCount)
            unsafe bytes.deallocate()
            unsafe bytes = unsafe grown
            unsafe byteCapacity = capacity
        }
        if unsafe fieldCount + extraFields > fieldCapacity {
            let capacity = unsafe max(fieldCapacity * 2, fieldCount + extraFields)
            let grown = UnsafeMutablePointer<HeaderField>.allocate(capacity: capacity)
            unsafe grown.update(from: fields, count: fieldCount)
            unsafe fields.deallocate()
            unsafe fields = unsafe grown
            unsafe fieldCapacity = capacity
        }
    }
}
