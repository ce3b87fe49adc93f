import MeshCLI
import MeshKubernetes
import Synchronization
import Testing

@Suite("Health checks", .timeLimit(.minutes(1))) struct HealthReportTests {
    private static func check(
        _ name: String, _ severity: HealthCheck.Severity, isRetried: Bool = false, parts: [HealthCheck.Part] = [],
        problem: String? = nil
    ) -> HealthCheck {
        HealthCheck(name, anchor: "a-\(name)", severity, isRetried: isRetried) {
            if let problem { throw HealthProblem(problem) }
            return parts
        }
    }

    private static func report(_ checks: [HealthCheck]) async -> HealthReport {
        await HealthRun(wait: .zero).report(on: [HealthCategory("linkerd-viz", checks)])
    }

    @Test("A warning is no failure, and its lines are indented under it")
    func warning() async {
        let report = await Self.report([
            Self.check("first", .fatal), Self.check("second", .warning, problem: "two pods:\n\t* a\n\t* b"), Self.check("third", .fatal),
        ])
        #expect(report.isSuccess)
        let short = """
            linkerd-viz
            -----------
            ‼ second
                two pods:
                \t* a
                \t* b
                see https://linkerd.io/2/checks/#a-second for hints

            Status check results are √

            """
        #expect(report.short(isColored: false) == short)
    }

    @Test("Behind a fatal failure nothing is looked at")
    func fatal() async {
        let asked = Mutex(false)
        let report = await Self.report([
            Self.check("first", .fatal, problem: "no such thing"),
            HealthCheck("second", anchor: "b", .fatal) {
                asked.withLock { $0 = true }
                return []
            },
        ])
        #expect(!report.isSuccess && !asked.withLock { $0 })
        #expect(report.conclusion(isColored: false) == "Status check results are ×\n")
        #expect(report.conclusion(isColored: true) == "Status check results are \u{1B}[31m×\u{1B}[0m\n")
    }

    @Test("Parts have verdicts of their own")
    func parts() async {
        let report = await Self.report([
            Self.check(
                "self-check", .fatal,
                parts: [.init(description: "[kubernetes] fine", problem: nil), .init(description: "[store] full", problem: "disk")])
        ])
        let json = """
            {
              "success": false,
              "categories": [
                {
                  "categoryName": "linkerd-viz",
                  "checks": [
                    {
                      "description": "self-check",
                      "result": "success"
                    },
                    {
                      "description": "[kubernetes] fine",
                      "result": "success"
                    },
                    {
                      "description": "[store] full",
                      "hint": "https://linkerd.io/2/checks/#a-self-check",
                      "error": "disk",
                      "result": "error"
                    }
                  ]
                }
              ]
            }

            """
        #expect(report.json() == json)
    }

    @Test("What may just be starting is tried again, until it is there or the wait is over")
    func retries() async {
        let tries = Mutex(0)
        let check = HealthCheck("starting", anchor: "s", .fatal, isRetried: true) {
            let count = tries.withLock { tries in
                tries += 1
                return tries
            }
            guard count == 3 else { throw HealthProblem("not yet") }
            return []
        }
        let waits = Mutex(0)
        let run = HealthRun(wait: .seconds(50), retryInterval: .milliseconds(1)) { waits.withLock { $0 += 1 } }
        let report = await run.report(on: [HealthCategory("linkerd-viz", [check])])
        #expect(report.isSuccess && tries.withLock { $0 } == 3 && waits.withLock { $0 } == 2)

        tries.withLock { $0 = 10 }
        let late = await HealthRun(wait: .zero).report(on: [HealthCategory("linkerd-viz", [check])])
        #expect(!late.isSuccess && tries.withLock { $0 } == 11)
    }
}

@Suite("What viz check says of pods", .timeLimit(.minutes(1))) struct VizPodsTests {
    private static func pod(_ component: String, isMeshed: Bool = true, isReady: Bool = true, version: String = "1") -> Pod {
        Pod {
            $0.metadata.name = "\(component)-1"
            $0.metadata.labels = ["component": component]
            $0.metadata.annotations = ["linkerd.io/proxy-version": version]
            var spec = PodSpec()
            spec.containers = ([component] + (isMeshed ? ["linkerd-proxy"] : [])).map { name in Container { $0.name = name } }
            $0.spec = spec
            var status = PodStatus()
            status.phase = "Running"
            status.containerStatuses = spec.containers.map { container in
                ContainerStatus {
                    $0.name = container.name
                    $0.ready = isReady
                }
            }
            $0.status = status
        }
    }

    private static func problem(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test("Four components, injected, ready and of one version, are well")
    func well() {
        let pods = VizPods(VizPods.components.map { Self.pod($0) })
        let problems = [
            Self.problem(pods.expectInjected), Self.problem(pods.expectRunning), Self.problem(pods.expectHealthyProxies),
            Self.problem { try pods.expectProxies(of: "1", as: "but:") },
        ]
        #expect(problems == [nil, nil, nil, nil])
    }

    @Test("What is missing, waiting or old is named")
    func named() {
        let pods = VizPods([
            Self.pod("web", isMeshed: false), Self.pod("tap", isReady: false), Self.pod("metrics-api", version: "2"),
        ])
        #expect(
            Self.problem(pods.expectInjected) == "pods without a proxy; see why with kubectl describe, and restart them:\n\t* web-1")
        #expect(Self.problem(pods.expectRunning) == "no pod is running of:\n\t* tap-injector")
        #expect(Self.problem(pods.expectHealthyProxies) == "not ready:\n\t* tap-1: container linkerd-proxy")
        #expect(Self.problem { try pods.expectProxies(of: "1", as: "but:") } == "but:\n\t* metrics-api-1 (2)")
    }
}
