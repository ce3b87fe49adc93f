import CZlib
public import NIOCore

/// Compresses one zlib or gzip stream, piece by piece. Freed exactly once, impossible to copy.
@safe public struct Deflater: ~Copyable {
    /// What becomes of the output after a piece.
    public enum Flush: Sendable {
        /// Everything given so far can be expanded by the peer (`Z_SYNC_FLUSH`).
        case sync
        /// The stream ends here.
        case finish
    }

    /// Bytes compressed at a time.
    private static let stepBytes = 16 * 1_024

    // SAFETY: heap memory owned by self; zlib keeps this address until deflateEnd in deinit. One thread
    // at a time, since every use needs `self` exclusively.
    private let stream: UnsafeMutablePointer<z_stream>

    /// Starts a stream.
    ///
    /// - Parameter level: 0 to 9, or -1 for zlib's default.
    /// - Throws: `startFailed` when zlib has no memory or refuses the dictionary.
    public init(
        format: CompressionFormat, dictionary: [UInt8] = [], level: Int32 = -1
    ) throws(CompressionError) {
        // SAFETY: allocated here, owned by self, freed in deinit or below when starting fails.
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let code = unsafe deflateInit2_(
            stream, level, Z_DEFLATED, format.windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            CInt(MemoryLayout<z_stream>.size))
        guard code == Z_OK else {
            unsafe stream.deallocate()
            throw CompressionError(.startFailed, zlibCode: code)
        }
        if !dictionary.isEmpty {
            // SAFETY: zlib copies the dictionary during the call.
            let code = unsafe dictionary.withUnsafeBufferPointer { buffer in
                unsafe deflateSetDictionary(stream, buffer.baseAddress, UInt32(clamping: buffer.count))
            }
            guard code == Z_OK else {
                unsafe deflateEnd(stream)
                unsafe stream.deallocate()
                throw CompressionError(.startFailed, zlibCode: code)
            }
        }
        unsafe self.stream = stream  // Last, so that deinit never sees a half-built stream.
    }

    deinit {
        // SAFETY: the stream was started in init and nobody else holds its address.
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Compresses one piece and gives all the bytes that the peer needs for it.
    public mutating func deflate(_ input: ByteBuffer, flush: Flush) throws(CompressionError) -> ByteBuffer {
        var output = ByteBuffer()
        var bytes = Array(input.readableBytesView)
        var offset = 0
        let mode = flush == .finish ? Z_FINISH : Z_SYNC_FLUSH
        while true {
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
                    let code = unsafe CZlib.deflate(stream, mode)
                    taken = unsafe input.count - start - Int(stream.pointee.avail_in)
                    made = unsafe space.count - Int(stream.pointee.avail_out)
                    return code
                }
            }
            offset += taken
            output.writeBytes(room[..<made])
            if code == Z_STREAM_END { return output }
            guard code == Z_OK || code == Z_BUF_ERROR else {
                throw CompressionError(.badInput, zlibCode: code)
            }
            // "If deflate returns with avail_out == 0, this function must be called again", zlib manual.
            if made < Self.stepBytes, flush == .sync { return output }
        }
    }
}
