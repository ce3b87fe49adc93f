// What the identity controller is asked with: a key and a PKCS#10 request (RFC 2986) that names the identity.
//
// Source: `spec/proxy.md` 1.2 and 9.1. The request is sent unchanged each time, and the key lives as long as
// the process. Linkerd's container has a wrapper write both to files; here they are made in memory, and files
// that a wrapper wrote are read.

import COpenSSL

/// The key of this process and the request for its certificates.
public struct KeyAndCSR: Sendable {
    /// Neither file may be larger.
    public static let fileBytesMax = 64 * 1_024
    /// A common name may not be longer (RFC 5280, ub-common-name); a longer identity is in the SAN only.
    static let commonNameBytesMax = 64

    /// Signs handshakes.
    public let key: PrivateKey
    /// The request in DER.
    public let csr: [UInt8]

    /// Makes a key, and a request with the identity as common name and as the one subject alternative name:
    /// DNS, or URI when it has a scheme.
    ///
    /// - Throws: `malformed` when the identity cannot be a name, `library` when OpenSSL cannot do its part.
    public static func generate(identity: String) throws(CertificateError) -> KeyAndCSR {
        let key = try PrivateKey.generate()
        return KeyAndCSR(key: key, csr: try CertificateRequest.make(identity: identity, key: key))
    }

    /// Checks that a request, as `csr.der` holds it, was made with a key, as `key.p8` holds it.
    public init(pkcs8: [UInt8], csr: [UInt8]) throws(CertificateError) {
        let key = try PrivateKey(pkcs8: pkcs8)
        try CertificateRequest.check(csr, key: key)
        self.init(key: key, csr: csr)
    }

    /// Reads `key.p8` and `csr.der` in `LINKERD2_PROXY_IDENTITY_DIR`. Blocks on the disk: for start-up only.
    public static func load(directory: String) throws(CertificateError) -> KeyAndCSR {
        var pkcs8 = try readFile(directory + "/key.p8")
        // SAFETY: wipes exactly the array's own bytes.
        defer { unsafe pkcs8.withUnsafeMutableBytes { unsafe OPENSSL_cleanse($0.baseAddress, $0.count) } }
        return try KeyAndCSR(pkcs8: pkcs8, csr: try readFile(directory + "/csr.der"))
    }

    private init(key: PrivateKey, csr: [UInt8]) {
        self.key = key
        self.csr = csr
    }

    private static func readFile(_ path: String) throws(CertificateError) -> [UInt8] {
        guard let bio = unsafe BIO_new_file(path, "rb") else {
            Library.clearErrors()
            throw CertificateError(.unreadable)
        }
        defer { unsafe BIO_free(bio) }
        // SAFETY: OpenSSL writes at most the buffer's count and says how much it was.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: fileBytesMax + 1) { buffer, count in
            while count < buffer.count {
                var read = 0
                let space = buffer.count - count
                guard unsafe BIO_read_ex(bio, buffer.baseAddress.map { unsafe $0 + count }, space, &read) == 1
                else { break }
                count += read
            }
        }
        Library.clearErrors()
        guard bytes.count <= fileBytesMax else { throw CertificateError(.unreadable) }
        return bytes
    }
}

/// PKCS#10 by OpenSSL.
enum CertificateRequest {
    static func make(identity: String, key: PrivateKey) throws(CertificateError) -> [UInt8] {
        defer { Library.clearErrors() }
        guard isName(identity) else { throw CertificateError(.malformed) }
        guard let request = unsafe X509_REQ_new() else { throw CertificateError(.library) }
        defer { unsafe X509_REQ_free(request) }
        guard unsafe X509_REQ_set_version(request, 0) == 1, unsafe X509_REQ_set_pubkey(request, key.key) == 1,
            unsafe setCommonName(request, identity), unsafe addAlternativeName(request, identity),
            unsafe X509_REQ_sign(request, key.key, EVP_sha256()) > 0,
            let der = unsafe encodedDER({ unsafe i2d_X509_REQ(request, $0) })
        else { throw CertificateError(.library) }
        return der
    }

    static func check(_ der: [UInt8], key: PrivateKey) throws(CertificateError) {
        defer { Library.clearErrors() }
        let isMatch: Bool? = unsafe withReadBIO(der) { bio in
            guard let request = unsafe d2i_X509_REQ_bio(bio, nil) else { return nil }
            defer { unsafe X509_REQ_free(request) }
            return unsafe X509_REQ_check_private_key(request, key.key) == 1
        }
        guard let isMatch else { throw CertificateError(.malformed) }
        guard isMatch else { throw CertificateError(.keyMismatch) }
    }

    private static func isName(_ identity: String) -> Bool {
        if identity.contains("://") {
            return identity.utf8.count <= Certificate.uriBytesMax
                && identity.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        }
        return isDNSName(identity)
    }

    private static func setCommonName(_ request: OpaquePointer, _ identity: String) -> Bool {
        guard identity.utf8.count <= KeyAndCSR.commonNameBytesMax else { return true }
        let bytes = Array(identity.utf8)
        // SAFETY: the subject belongs to the request; OpenSSL copies the bytes.
        let subject = unsafe X509_REQ_get_subject_name(request)
        return unsafe X509_NAME_add_entry_by_NID(
            subject, NID_commonName, MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0) == 1
    }

    private static func addAlternativeName(_ request: OpaquePointer, _ identity: String) -> Bool {
        guard let names = unsafe GENERAL_NAMES_new() else { return false }
        // SAFETY: the name and its text move into the stack when pushed; the stack frees what it holds.
        defer { unsafe GENERAL_NAMES_free(names) }
        guard let text = unsafe ASN1_IA5STRING_new() else { return false }
        let bytes = Array(identity.utf8)
        guard let name = unsafe GENERAL_NAME_new() else {
            unsafe ASN1_IA5STRING_free(text)
            return false
        }
        unsafe GENERAL_NAME_set0_value(name, identity.contains("://") ? GEN_URI : GEN_DNS, text)
        guard unsafe ASN1_STRING_set(text, bytes, Int32(bytes.count)) == 1,
            unsafe mesh_names_push(names, name) > 0
        else {
            unsafe GENERAL_NAME_free(name)
            return false
        }
        var extensions = unsafe mesh_extensions_new()
        defer { unsafe mesh_extensions_free(extensions) }
        return unsafe X509V3_add1_i2d(&extensions, NID_subject_alt_name, UnsafeMutableRawPointer(names), 0, 0)
            == 1
            && X509_REQ_add_extensions(request, extensions) == 1
    }
}
