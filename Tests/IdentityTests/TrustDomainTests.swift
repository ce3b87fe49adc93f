import Identity
import Testing

@Suite("Trust domain", .timeLimit(.minutes(1))) struct TrustDomainTests {
    @Test("An identity names account, namespace, control plane and domain")
    func identity() throws {
        let domain = try TrustDomain(controllerNamespace: "linkerd", domain: "cluster.local")
        let account = try ServiceAccountName(username: "system:serviceaccount:emojivoto:web")
        #expect(domain.identity(of: account) == "web.emojivoto.serviceaccount.identity.linkerd.cluster.local")
    }

    @Test(
        "A user that is not plainly a service account has no identity",
        arguments: [
            "", "web", "system:serviceaccount:shop", "system:serviceaccount:shop:web:x", "system:node:n:1",
            "serviceaccount:system:shop:web", "system:serviceaccount::web", "system:serviceaccount:shop:",
            "system:serviceaccount:shop:web.other", "system:serviceaccount:Shop:web",
            "system:serviceaccount:shop:-web", "system:serviceaccount:shop:web-",
            "system:serviceaccount:shop:wéb",
            "system:serviceaccount:shop:" + String(repeating: "a", count: 64),
        ])
    func refused(username: String) {
        #expect { try ServiceAccountName(username: username) } throws: {
            ($0 as? IdentityError)?.kind == .invalidToken
        }
    }

    @Test(
        "A trust domain is made of labels",
        arguments: [
            ("linkerd", ""), ("linkerd", "a..b"), ("linkerd", ".a"), ("", "a"), ("lin.kerd", "a"), ("l", "A"),
        ])
    func badDomain(namespace: String, domain: String) {
        #expect { try TrustDomain(controllerNamespace: namespace, domain: domain) } throws: {
            ($0 as? IdentityError)?.kind == .configuration
        }
    }
}
