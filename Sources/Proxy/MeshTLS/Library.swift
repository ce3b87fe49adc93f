import COpenSSL

/// What OpenSSL keeps for the whole process.
enum Library {
    /// Loads the library once. Its clean-up at exit is off: event loops may still be inside a session then,
    /// and the kernel takes the memory back anyway.
    static let isLoaded: Bool = {
        let options = UInt64(OPENSSL_INIT_NO_ATEXIT)
        return OPENSSL_init_ssl(options, nil) == 1
    }()

    /// "The current thread's error queue must be empty before the TLS/SSL I/O operation is attempted, or
    /// SSL_get_error() will not work reliably", manual of SSL_get_error.
    @inline(__always)
    static func clearErrors() { ERR_clear_error() }
}

/// Gives `body` a BIO that reads `bytes`.
func withReadBIO<Result>(_ bytes: [UInt8], _ body: (OpaquePointer) -> Result?) -> Result? {
    // SAFETY: the BIO refers to the array's bytes without copying, and is freed before the closure ends.
    unsafe bytes.withUnsafeBufferPointer { buffer in
        guard let count = Int32(exactly: buffer.count),
            let bio = unsafe BIO_new_mem_buf(UnsafeRawPointer(buffer.baseAddress), count)
        else { return nil }
        defer { unsafe BIO_free(bio) }
        return unsafe body(bio)
    }
}

/// The DER that `encode` writes: OpenSSL's `i2d_` functions, asked for the length first.
func encodedDER(_ encode: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32) -> [UInt8]? {
    let count = Int(encode(nil))
    guard count > 0 else { return nil }
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
        // SAFETY: `i2d_` writes as many bytes as it announced, and moves its own copy of the pointer.
        var end = buffer.baseAddress
        written = max(0, min(count, Int(unsafe encode(&end))))
    }
    return bytes.count == count ? bytes : nil
}
