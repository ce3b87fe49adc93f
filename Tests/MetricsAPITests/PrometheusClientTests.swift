import Foundation
import MeshModel
import MeshRollup
@testable import MetricsAPI
import NIOSSL
import Testing

@Suite("A Prometheus of one's own", .timeLimit(.minutes(1)))
struct PrometheusClientTests {
    private func withFiles(_ files: [String: String], _ body: (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "viz-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (name, text) in files { try Data(text.utf8).write(to: URL(filePath: "\(folder)/\(name)")) }
        try await body(folder)
    }

    private func query(_ config: PrometheusConfig, _ expression: String = "up") async throws -> [PrometheusSample] {
        let client = try PrometheusClient(config)
        do {
            let samples = try await client.query(expression, at: Fixtures.start)
            await client.shutdown()
            return samples
        } catch {
            await client.shutdown()
            throw error
        }
    }

    @Test("Basic and bearer credentials are read anew each time; the tenant goes with every query")
    func credentials() async throws {
        try await withFiles(["user": "ann\n", "password": "s3cret\n", "token": "abc\n"]) { folder in
            try await FakePrometheus.run { fake, port in
                var config = PrometheusConfig(url: "http://127.0.0.1:\(port)/prometheus/")
                (config.userFile, config.passwordFile) = ("\(folder)/user", "\(folder)/password")
                config.tenant = "team-a"
                _ = try await query(config, #"sum(a{b="c d&e"})"#)
                (config.userFile, config.passwordFile, config.tokenFile) = (nil, nil, "\(folder)/token")
                config.tenantHeader = "THANOS-TENANT"
                let client = try PrometheusClient(config)
                _ = try await client.query("up", at: Fixtures.start)
                try Data("rotated".utf8).write(to: URL(filePath: "\(folder)/token"))
                _ = try await client.query("up", at: Fixtures.start)
                await client.shutdown()
                let asked = fake.asked
                #expect(asked.first?.uri == "/prometheus/api/v1/query")
                #expect(asked.first?.headers["authorization"] == "Basic YW5uOnMzY3JldA==")
                #expect(asked.first?.headers["x-scope-orgid"] == "team-a")
                #expect(asked.first?.body == "query=sum%28a%7Bb%3D%22c%20d%26e%22%7D%29&time=1700006400.0")
                #expect(asked.dropFirst().map { $0.headers["authorization"] } == ["Bearer abc", "Bearer rotated"])
                #expect(asked.last?.headers["thanos-tenant"] == "team-a")
            }
        }
    }

    @Test("A server that refuses, or answers something else, is quoted with the expression", arguments: [
        (400, #"{"status":"error","errorType":"bad_data","error":"parse error"}"#, "answered parse error"),
        (401, "no", "answered 401 with something that is no JSON"), (500, "{}", "answered status 500"),
        (200, #"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#, "answered no vector"),
    ])
    func errors(status: Int, body: String, message: String) async throws {
        try await FakePrometheus.run { fake, port in
            fake.answer(status, body)
            let error = await #expect(throws: BackendError.self) {
                _ = try await query(PrometheusConfig(url: "http://127.0.0.1:\(port)"), #"up{a="b"}"#)
            }
            #expect(error?.description.contains(message) == true, "\(String(describing: error))")
            #expect(error?.description.hasPrefix(#"Query failed: "up{a=\"b\"}": "#) == true)
        }
    }

    @Test("A server that is not there, and credentials that are not, are named; one failed query fails the question")
    func unreachable() async throws {
        var config = PrometheusConfig(url: "http://127.0.0.1:1")
        let refused = await #expect(throws: BackendError.self) { _ = try await query(config) }
        #expect(refused?.description.contains("no answer from http://127.0.0.1:1") == true)
        config.tokenFile = "/nonexistent"
        let unreadable = await #expect(throws: BackendError.self) { _ = try await query(config) }
        #expect(unreadable?.description.contains("/nonexistent cannot be read") == true)
        let client = try PrometheusClient(PrometheusConfig(url: "http://127.0.0.1:1"))
        let backend = PrometheusBackend(client: client)
        #expect(await backend.problem()?.contains("Query failed") == true)
        let window = try StatWindow("1m", now: Fixtures.start)
        await #expect(throws: BackendError.self) {
            _ = try await backend.traffic(
                TrafficQuery(TrafficEnd(kind: .deployment, namespace: "", name: ""), window: window))
        }
        await client.shutdown()
    }

    @Test("Mutual TLS: the client shows its certificate, and trusts only the authority it was given")
    func mutualTLS() async throws {
        try await withFiles([:]) { folder in
            try await makeCertificates(folder)
            var tls = TLSConfiguration.makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMFile("\(folder)/server.pem").map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: "\(folder)/server.key", format: .pem)))
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile("\(folder)/ca.pem"))
            tls.certificateVerification = .noHostnameVerification
            try await FakePrometheus.run(tls: tls) { (fake: FakePrometheus, port: Int) async throws in
                var config = PrometheusConfig(url: "https://127.0.0.1:\(port)")
                config.timeout = .seconds(5)
                await #expect(throws: BackendError.self, "an authority nobody knows") { _ = try await query(config) }
                config.authorityFile = "\(folder)/ca.pem"
                await #expect(throws: BackendError.self, "no client certificate") { _ = try await query(config) }
                #expect(fake.asked.isEmpty)
                (config.certificateFile, config.keyFile) = ("\(folder)/client.pem", "\(folder)/client.key")
                let samples = try await query(config)
                #expect(samples.isEmpty)
                #expect(fake.asked.count == 1)
            }
        }
    }

    private func makeCertificates(_ folder: String) async throws {
        let script = """
            set -e; cd \(folder)
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=ca -keyout ca.key -out ca.pem
            for name in server client; do
              openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
              printf 'subjectAltName=IP:127.0.0.1' >ext
              openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile ext -out $name.pem
            done
            """
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", script]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        let deadline = ContinuousClock.now + .seconds(20)
        while process.isRunning, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
        try #require(!process.isRunning && process.terminationStatus == 0, "openssl made no certificates")
    }
}
