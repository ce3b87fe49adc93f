import CZlib
public import NIOCore

/// Expands one zlib or gzip stream, piece by piece. Freed exactly once, impossible to copy.
@safe public struct Inflater: ~Copyable {
    /// Bytes expanded at a time.
    private static let stepBytes = 16 * 1_024

    // SAFETY: heap memory owned by self; zlib keeps this address until inflateEnd in deinit. One thread
    // at a time, since every use needs `self` exclusively.
    private let stream: UnsafeMutablePointer<z_stream>
    private let dictionary: [UInt8]
    /// Whether the end of the stream has been seen.
    public private(set) var isFinished = false

    /// Starts a stream.
    ///
    /// - Parameter dictionary: The preset dictionary the peer used, for zlib streams that ask for one.
    /// - Throws: `startFailed` when zlib has no memory.
    public init(format: CompressionFormat, dictionary: [UInt8] = []) throws(CompressionError) {
        // SAFETY: allocated here, owned by self, freed in deinit or below when starting fails.
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let code = unsafe inflateInit2_(
            stream, format.windowBits, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        guard code == Z_OK else {
            unsafe stream.deallocate()
            throw CompressionError(.startFailed, zlibCode: code)
        }
        self.dictionary = dictionary
        unsafe self.stream = stream  // Last, so that deinit never sees a half-built stream.
    }

    deinit {
        // SAFETY: the stream was started in init and nobody else holds its address.
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Expands one piece of input and gives all that it yields.
    ///
    /// - Parameter outputBytesMax: More output than this ends in `outputTooLarge`, so that a small input
    ///   cannot fill the memory.
    /// - Throws: `badInput`, `dictionaryMissing` or `outputTooLarge`; the stream is then of no more use.
    public mutating func inflate(_ input: ByteBuffer, outputBytesMax: Int) throws(CompressionError)
        -> ByteBuffer
    {
        var output = ByteBuffer()
        var bytes = Array(input.readableBytesView)
        var offset = 0
        repeat {
            let before = output.writerIndex
            let code = try step(&bytes, &offset, &output)
            if output.readableBytes > outputBytesMax { throw CompressionError(.outputTooLarge) }
            if code == Z_STREAM_END {
                isFinished = true
                return output
            }
            // Neither input taken nor output given: zlib waits for more input.
            if code == Z_BUF_ERROR || (offset == bytes.count && output.writerIndex == before) {
                return output
            }
        } while true
    }

    private mutating func step(
        _ bytes: inout [UInt8], _ offset: inout Int, _ output: inout ByteBuffer
    ) throws(CompressionError) -> CInt {
        var room = [UInt8](repeating: 0, count: Self.stepBytes)
        let start = offset
        var taken = 0
        var made = 0
        // SAFETY: both pointers are used only inside the closures; counts are those of the buffers.
        let code = unsafe bytes.withUnsafeMutableBufferPointer { input in
            unsafe room.withUnsafeMutableBufferPointer { space in
                unsafe stream.pointee.next_in = input.baseAddress.map { unsafe $0 + start }
                unsafe stream.pointee.avail_in = UInt32(clamping: input.count - start)
                unsafe stream.pointee.next_out = space.baseAddress
                unsafe stream.pointee.avail_out = UInt32(clamping: space.count)
                var code = unsafe CZlib.inflate(stream, Z_SYNC_FLUSH)
                if code == Z_NEED_DICT { code = setDictionary() }
                taken = unsafe input.count - start - Int(stream.pointee.avail_in)
                made = unsafe space.count - Int(stream.pointee.avail_out)
                return code
            }
        }
        offset += taken
        output.writeBytes(room[..<made])
        switch code {
        case Z_OK, Z_STREAM_END, Z_BUF_ERROR: return code
        case Z_NEED_DICT: throw CompressionError(.dictionaryMissing, zlibCode: code)
        default: throw CompressionError(.badInput, zlibCode: code)
        }
    }

    /// `Z_OK` when the stream accepts the dictionary; zlib then goes on at the next call.
    private func setDictionary() -> CInt {
        guard !dictionary.isEmpty else { return Z_NEED_DICT }
        // SAFETY: zlib copies the dictionary during the call.
        return unsafe dictionary.withUnsafeBufferPointer { buffer in
            unsafe inflateSetDictionary(stream, buffer.baseAddress, UInt32(clamping: buffer.count))
        }
    }
}
