import Foundation
import MeshModel
import Testing

extension ClusterSuites {
    @Suite("G. Profiles and splits steer the demo's traffic", .serialized) struct G_Routes {
        let cluster = Cluster.shared
        private static let voting = "voting-svc.emojivoto.svc.cluster.local"

        private static let profile = """
            apiVersion: linkerd.io/v1alpha2
            kind: ServiceProfile
            metadata:
              name: \(voting)
              namespace: emojivoto
            spec:
              routes:
              - name: doughnut
                condition:
                  method: POST
                  pathRegex: /emojivoto\\.v1\\.VotingService/VoteDoughnut
                isRetryable: true
              - name: votes
                condition:
                  method: POST
                  pathRegex: /emojivoto\\.v1\\.VotingService/Vote.*
              retryBudget:
                retryRatio: 0.2
                minRetriesPerSecond: 5
                ttl: 10s
            """

        /// A second name for the voting pods, and a split between both.
        private static func split(first: Int, second: Int) -> String {
            """
            apiVersion: v1
            kind: Service
            metadata:
              name: voting-canary
              namespace: emojivoto
            spec:
              selector:
                app: voting-svc
              ports:
              - name: grpc
                port: 8080
                targetPort: 8080
            ---
            apiVersion: split.smi-spec.io/v1alpha1
            kind: TrafficSplit
            metadata:
              name: voting
              namespace: emojivoto
            spec:
              service: voting-svc
              backends:
              - service: voting-svc
                weight: \(first)m
              - service: voting-canary
                weight: \(second)m
            """
        }

        private func apply(_ manifest: String) async throws {
            try await cluster.kubectl(["apply", "-f", "-"], input: manifest)
        }

        private func delete(_ words: String...) async throws {
            try await cluster.kubectl(["delete", "--ignore-not-found", "-n", "emojivoto"] + words)
        }

        /// The sum of a family's series on the proxy beside `web`, of those that carry all the labels.
        private func metric(_ family: String, _ labels: [String: String]) async throws -> Double {
            let text = try await cluster.kubectl(["get", "pods", "-n", "emojivoto", "-l", "app=web-svc", "-o", "json"])
            let pod = try JSONValue(parsing: text)["items"]?[0]?.value(at: ["metadata", "name"])?.stringValue
            let name = try #require(pod)
            let metrics = try await cluster.kubectl(
                ["get", "--raw", "/api/v1/namespaces/emojivoto/pods/\(name):4191/proxy/metrics"])
            return metrics.split(separator: "\n").reduce(0) { sum, line in
                guard line.hasPrefix(family + "{"), labels.allSatisfy({ line.contains("\($0)=\"\($1)\"") }),
                    let value = line.split(separator: " ").last.flatMap({ Double($0) })
                else { return sum }
                return sum + value
            }
        }

        @Test("A profile counts requests by route, and what always fails is retried as far as the budget goes")
        func profile() async throws {
            try await apply(Self.profile)
            let doughnut = ["direction": "outbound", "dst": "\(Self.voting):8080", "rt_route": "doughnut"]
            let failed = doughnut.merging(["classification": "failure"]) { $1 }
            let votes = ["direction": "outbound", "rt_route": "votes", "classification": "success"]
            try await eventually(within: 90, "both routes are counted") {
                let isFailing = try await metric("route_response_total", failed) > 0
                return try await metric("route_response_total", votes) > 0 && isFailing
            }
            let attempts = try await metric("route_actual_response_total", failed)
            let responses = try await metric("route_response_total", failed)
            #expect(attempts > responses, "\(attempts) attempts, \(responses) responses")
            #expect(try await metric("route_retryable_total", doughnut) > 0)
            #expect(try await metric("route_actual_response_total", votes.merging(["classification": "failure"]) { $1 }) == 0)
            let seen = try await metric("route_request_total", ["direction": "outbound", "rt_route": "votes"])
            print("routes: \(attempts) attempts for \(responses) failures of the doughnut, \(seen) other votes")

            // A typo changes nothing: the routes go on counting.
            try await apply(Self.profile.replacingOccurrences(of: "ttl: 10s", with: "ttl: 10 minutes"))
            let before = try await metric("route_request_total", ["rt_route": "votes"])
            try await eventually(within: 60, "the last good profile stays in force") {
                try await metric("route_request_total", ["rt_route": "votes"]) > before
            }
            try await delete("serviceprofile", Self.voting)
            try await eventually(within: 60, "without the profile nothing is counted by route any more") {
                let first = try await metric("route_request_total", ["rt_route": "votes"])
                let requests = try await metric("request_total", ["dst_service": "voting-svc"])
                try await eventually(within: 30, "requests go on") {
                    try await metric("request_total", ["dst_service": "voting-svc"]) >= requests + 3
                }
                return try await metric("route_request_total", ["rt_route": "votes"]) == first
            }
        }

        @Test("A split sends its share to each service, follows its weights, and ends with its object")
        func split() async throws {
            let canary = ["direction": "outbound", "dst_service": "voting-canary"]
            let stable = ["direction": "outbound", "dst_service": "voting-svc"]
            let errors = try await metric("outbound_http_errors_total", [:])
            try await apply(Self.split(first: 500, second: 500))
            try await eventually(within: 90, "both take requests") {
                let before = try await metric("request_total", stable)
                guard try await metric("request_total", canary) >= 5 else { return false }
                try await eventually(within: 30, "the first still does") { try await metric("request_total", stable) > before }
                return true
            }
            try await apply(Self.split(first: 0, second: 1000))
            try await eventually(within: 60, "the second takes all") {
                let (first, second) = (try await metric("request_total", stable), try await metric("request_total", canary))
                try await eventually(within: 30, "requests go on") { try await metric("request_total", canary) >= second + 5 }
                return try await metric("request_total", stable) == first
            }
            try await delete("trafficsplit", "voting")
            try await eventually(within: 60, "the first takes all again") {
                let (first, second) = (try await metric("request_total", stable), try await metric("request_total", canary))
                try await eventually(within: 30, "requests go on") { try await metric("request_total", stable) >= first + 5 }
                return try await metric("request_total", canary) == second
            }
            try await delete("service", "voting-canary")
            #expect(try await metric("outbound_http_errors_total", [:]) == errors, "no request failed on the way")
        }
    }
}
