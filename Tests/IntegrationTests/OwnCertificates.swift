/// Keys and certificates in a folder, made with openssl as somebody makes them who brings their own.
struct OwnCertificates {
    let folder: String

    /// Writes `NAME.key` and `NAME.crt`, on P-256 and for thirty days.
    ///
    /// - Parameters:
    ///   - issuer: The name of another pair that signs it; by default it signs itself.
    ///   - extensions: As `-addext` takes them.
    func make(_ name: String, subject: String, issuer: String? = nil, extensions: [String] = []) async throws {
        var arguments = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
        arguments += ["-subj", "/CN=" + subject, "-keyout", name + ".key", "-out", name + ".crt"]
        if let issuer { arguments += ["-CA", issuer + ".crt", "-CAkey", issuer + ".key"] }
        for text in extensions { arguments += ["-addext", text] }
        try await Shell.check(["env", "-C", folder, "openssl"] + arguments, seconds: 30)
    }
}
