// Who a workload is: the DNS-like name that its certificate carries, made from its service account.

/// The domain in which one control plane names workloads.
package struct TrustDomain: Sendable, Equatable {
    /// A label of a DNS name is at most this long (RFC 1123).
    static let labelCharactersMax = 63

    /// The namespace of the control plane.
    package let controllerNamespace: String
    /// The suffix of every identity, such as `cluster.local`.
    package let domain: String

    /// - Throws: `.configuration` when the namespace is not a DNS label, or the domain not several of them.
    package init(controllerNamespace: String, domain: String) throws(IdentityError) {
        guard Self.isLabel(controllerNamespace) else {
            throw IdentityError(.configuration, "not a namespace: \(controllerNamespace)")
        }
        let labels = domain.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.allSatisfy(Self.isLabel) else {
            throw IdentityError(.configuration, "not a trust domain: \(domain)")
        }
        self.controllerNamespace = controllerNamespace
        self.domain = domain
    }

    /// `<account>.<namespace>.serviceaccount.identity.<controller namespace>.<domain>`.
    package func identity(of account: ServiceAccountName) -> String {
        "\(account.name).\(account.namespace).serviceaccount.identity.\(controllerNamespace).\(domain)"
    }

    /// Whether `text` is a lower-case DNS label (RFC 1123 section 2.1).
    static func isLabel(_ text: some StringProtocol) -> Bool {
        guard !text.isEmpty, text.utf8.count <= labelCharactersMax else { return false }
        let isEdgeGood = !text.hasPrefix("-") && !text.hasSuffix("-")
        return isEdgeGood
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
            }
    }
}

/// A service account, as a token review names its user.
package struct ServiceAccountName: Sendable, Equatable {
    package let namespace: String
    package let name: String

    /// Reads `system:serviceaccount:<namespace>:<name>`.
    ///
    /// - Throws: `.invalidToken` for any other user, and for names that are not one DNS label: a dot in an
    ///   account's name would let it pose as an account of another namespace.
    package init(username: String) throws(IdentityError) {
        let parts = username.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "system", parts[1] == "serviceaccount" else {
            throw IdentityError(.invalidToken, "the token is not a service account's: \(username)")
        }
        for label in parts[2...] where !TrustDomain.isLabel(label) {
            throw IdentityError(.invalidToken, "not a DNS label: \(label)")
        }
        namespace = String(parts[2])
        name = String(parts[3])
    }
}
