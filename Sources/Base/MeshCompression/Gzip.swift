public import NIOCore

/// Whole documents in gzip (RFC 1952).
public enum Gzip {
    /// Compresses a document.
    public static func compress(_ document: ByteBuffer, level: Int32 = -1) throws(CompressionError)
        -> ByteBuffer
    {
        var deflater = try Deflater(format: .gzip, level: level)
        return try deflater.deflate(document, flush: .finish)
    }

    /// Expands a document of at most `outputBytesMax` bytes.
    ///
    /// - Throws: `truncated` when the input ends too soon, else as `Inflater`.
    public static func expand(_ document: ByteBuffer, outputBytesMax: Int) throws(CompressionError)
        -> ByteBuffer
    {
        var inflater = try Inflater(format: .gzip)
        let output = try inflater.inflate(document, outputBytesMax: outputBytesMax)
        guard inflater.isFinished else { throw CompressionError(.truncated) }
        return output
    }
}
