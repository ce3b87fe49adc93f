import COpenSSL
import MeshWire

/// One X.509 certificate: parsed, immutable, freed once.
///
/// `@unchecked Sendable`: OpenSSL counts references to a certificate atomically and guards what it caches
/// inside with a lock; nothing here changes it after init.
@safe public final class Certificate: @unchecked Sendable {
    /// A name in the subject alternative names that can be an identity.
    public enum Name: Sendable, Hashable {
        /// A DNS name, in lower case.
        case dns(String)
        /// A URI, such as a SPIFFE id.
        case uri(String)

        /// The name as labels and policies write it.
        public var text: String {
            switch self {
            case .dns(let text), .uri(let text): text
            }
        }
    }

    /// Names beyond these are not looked at.
    public static let namesMax = 64
    /// Certificates of one PEM text or chain beyond these are refused.
    public static let chainMax = 64
    /// A longer URI is no identity.
    static let uriBytesMax = 2_048

    /// Start of validity, in seconds since 1970.
    public let notBeforeSeconds: Int64
    /// End of validity, in seconds since 1970; the metric of expiry shows it.
    public let notAfterSeconds: Int64
    /// The valid DNS and URI names, in their order. Wildcards, addresses and malformed names are left out.
    public let names: [Name]

    // SAFETY: owned by self, freed in deinit.
    let x509: OpaquePointer

    /// Parses one certificate in DER; bytes behind it are refused.
    public convenience init(der bytes: [UInt8]) throws(CertificateError) {
        let parsed: OpaquePointer? = unsafe withReadBIO(bytes) { bio in
            guard let x509 = unsafe d2i_X509_bio(bio, nil) else { return nil }
            guard unsafe BIO_ctrl(bio, BIO_CTRL_PENDING, 0, nil) == 0 else {
                unsafe X509_free(x509)
                return nil
            }
            return unsafe x509
        }
        Library.clearErrors()
        guard let parsed = unsafe parsed else { throw CertificateError(.malformed) }
        unsafe try self.init(adopting: parsed)
    }

    /// All certificates of a PEM text, in order.
    ///
    /// - Throws: `empty` when there is none, `malformed` when one is damaged or there are more than
    ///   `chainMax`.
    public static func all(pem text: String) throws(CertificateError) -> [Certificate] {
        var pointers: [OpaquePointer] = unsafe []
        let isWhole: Bool? = unsafe withReadBIO(Array(text.utf8)) { bio in
            while let x509 = unsafe PEM_read_bio_X509(bio, nil, nil, nil) { unsafe pointers.append(x509) }
            // "No start line" is how the text ends; anything else is a damaged certificate.
            let code = ERR_peek_last_error()
            return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE
        }
        Library.clearErrors()
        var certificates: [Certificate] = []
        var failure: CertificateError?
        for index in unsafe pointers.indices {
            do throws(CertificateError) {
                certificates.append(unsafe try Certificate(adopting: pointers[index]))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        guard isWhole ?? certificates.isEmpty, certificates.count <= chainMax else {
            throw CertificateError(.malformed)
        }
        guard !certificates.isEmpty else { throw CertificateError(.empty) }
        return certificates
    }

    /// Takes over one reference, also when it throws.
    init(adopting x509: OpaquePointer) throws(CertificateError) {
        _ = Library.isLoaded
        guard let start = unsafe unixSeconds(X509_get0_notBefore(x509)),
            let end = unsafe unixSeconds(X509_get0_notAfter(x509))
        else {
            unsafe X509_free(x509)
            throw CertificateError(.malformed)
        }
        notBeforeSeconds = start
        notAfterSeconds = end
        names = unsafe alternativeNames(x509)
        unsafe self.x509 = x509
    }

    deinit { unsafe X509_free(x509) }

    /// The first DNS or URI name: who the certificate speaks for in the mesh. The common name is never used.
    public var identity: String? { names.first?.text }

    /// Whether the certificate speaks for `identity`: a URI among its names, or a DNS name by OpenSSL's own
    /// check.
    public func isFor(_ identity: String) -> Bool {
        if identity.contains("://") { return names.contains(.uri(identity)) }
        let flags = UInt32(hostCheckFlags)
        // SAFETY: the bytes are read during the call only.
        return unsafe identity.utf8CString.withUnsafeBufferPointer { name in
            unsafe X509_check_host(x509, name.baseAddress, name.count - 1, flags, nil) == 1
        }
    }

    /// The certificate in DER.
    public var der: [UInt8] {
        // Encoding what was parsed fails for lack of memory only.
        unsafe encodedDER { unsafe i2d_X509(x509, $0) } ?? []
    }
}

/// Subject names never count, and wildcards match no part of a label.
let hostCheckFlags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS

/// Seconds since 1970 of an ASN.1 time.
private func unixSeconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
    guard let time = unsafe time, let epoch = unsafe ASN1_TIME_set(nil, 0) else { return nil }
    defer { unsafe ASN1_TIME_free(epoch) }
    var days: Int32 = 0
    var seconds: Int32 = 0
    guard unsafe ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else { return nil }
    return Int64(days) * 86_400 + Int64(seconds)
}

private func alternativeNames(_ x509: OpaquePointer) -> [Certificate.Name] {
    // SAFETY: the stack is ours until it is freed below; names inside are read before that.
    guard let raw = unsafe X509_get_ext_d2i(x509, NID_subject_alt_name, nil, nil) else {
        Library.clearErrors()
        return []
    }
    let stack = OpaquePointer(raw)
    defer { unsafe GENERAL_NAMES_free(stack) }
    var names: [Certificate.Name] = []
    for index in 0..<min(unsafe mesh_names_count(stack), Int32(Certificate.namesMax)) {
        var type: Int32 = 0
        guard let entry = unsafe mesh_names_at(stack, index),
            let value = unsafe GENERAL_NAME_get0_value(entry, &type),
            type == GEN_DNS || type == GEN_URI
        else { continue }
        let text = unsafe value.assumingMemoryBound(to: ASN1_STRING.self)
        let count = Int(unsafe ASN1_STRING_length(text))
        guard count > 0, let start = unsafe ASN1_STRING_get0_data(text) else { continue }
        let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
        if type == GEN_DNS {
            if let name = DNSName.parse(bytes.span) { names.append(.dns(name)) }
        } else if count <= Certificate.uriBytesMax, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
            names.append(.uri(String(decoding: bytes, as: UTF8.self)))
        }
    }
    return names
}
