import Foundation
import MeshModel
import NIOCore
import NIOHTTP1

/// `pods/log`: reads the files that the node agent writes under the state directory.
struct PodLogs {
    let cluster: Cluster
    let operations: ObjectOperations

    /// Time between two looks at a followed file. The kernel tells nobody when a file grows on all the
    /// file systems a state directory may lie on, so it is looked at.
    private static let followInterval = Duration.milliseconds(200)
    /// Looks at the file between two looks at the pod.
    private static let looksPerStatus = 5

    func respond(_ call: SubresourceCall) async throws -> APIResponse {
        guard call.request.method == .GET else {
            throw StatusError.methodNotAllowed(call.request.method.rawValue, "pods/log")
        }
        let pod = try await operations.get(call.target.kind, call.namespace, call.name).object()
        let container = try Self.container(of: pod, asked: call.request.parameter("container"))
        let directory =
            "\(cluster.config.stateDirectory)/logs/\(pod.namespace)_\(pod.name)_\(pod.uid)/\(container)"
        let follows = call.request.flag("follow") && call.request.parameter("follow") != nil
        let run = try Self.run(in: directory, wantsPrevious: call.request.flag("previous"), pod, container)
        let selection = try selection(call.request)
        let source = Source(
            path: run.map { "\(directory)/\($0).log" }, run: run ?? 0, container: container, uid: pod.uid)
        return .stream { stream in
            try await stream.start(headers: [("Content-Type", "text/plain")])
            try await send(source, selection, follows: follows, call, to: stream)
        }
    }

    private struct Source: Sendable {
        let path: String?
        let run: Int
        let container: String
        let uid: String
    }

    private func send(
        _ source: Source, _ selection: LogSelection, follows: Bool, _ call: SubresourceCall,
        to stream: ResponseStream
    ) async throws {
        guard let path = source.path, let file = LogFile(path: path) else { return }
        defer { file.close() }
        var lines = LogLines(selection)
        var offset = try selection.tailLines.map { try file.offset(ofLast: $0) } ?? 0
        var looks = 0
        var isOver = !follows
        while !lines.isFull {
            let piece = try file.read(at: offset)
            offset += UInt64(piece.count)
            let output = lines.feed(piece)
            if output.readableBytes > 0 { try await stream.write(output) }
            if !piece.isEmpty { continue }
            if isOver { break }
            guard stream.isOpen else { return }
            try await Task.sleep(for: Self.followInterval)
            looks += 1
            // One more round after the end was seen, for what was written in between.
            if looks % Self.looksPerStatus == 0 { isOver = await hasEnded(source, call) }
        }
        let rest = lines.finish()
        if rest.readableBytes > 0 { try await stream.write(rest) }
    }

    /// Whether the followed run of the container is over.
    private func hasEnded(_ source: Source, _ call: SubresourceCall) async -> Bool {
        let stored = try? await operations.get(call.target.kind, call.namespace, call.name)  // Gone: the log is over.
        guard let pod = try? stored?.object(), pod.uid == source.uid else { return true }  // Damaged: over as well.
        let status = Self.statuses(pod).first { $0["name"]?.stringValue == source.container }
        if status?["restartCount"]?.intValue ?? 0 > source.run { return true }
        if status?.value(at: ["state", "terminated"]) != nil { return true }
        let phase = pod.value(at: ["status", "phase"])?.stringValue
        return phase == "Succeeded" || phase == "Failed"
    }

    private func selection(_ request: APIRequest) throws(StatusError) -> LogSelection {
        var selection = LogSelection()
        selection.showsTimestamps = request.flag("timestamps") && request.parameter("timestamps") != nil
        selection.tailLines = try Self.number(request, "tailLines")
        selection.limitBytes = try Self.number(request, "limitBytes")
        if let seconds = try Self.number(request, "sinceSeconds") {
            selection.since = cluster.now().addingTimeInterval(TimeInterval(-seconds))
        } else if let text = request.parameter("sinceTime") {
            guard let date = Timestamp.parse(text) else {
                throw .badRequest("sinceTime must be an RFC 3339 time")
            }
            selection.since = date
        }
        return selection
    }

    private static func number(_ request: APIRequest, _ name: String) throws(StatusError) -> Int? {
        guard let text = request.parameter(name), !text.isEmpty else { return nil }
        guard let number = Int(text), number >= 0 else {
            throw .badRequest("\(name) must be a whole number of at least 0")
        }
        return number
    }

    private static func statuses(_ pod: JSONValue) -> [JSONValue] {
        ["containerStatuses", "initContainerStatuses"].flatMap {
            pod.value(at: ["status", $0])?.arrayValue ?? []
        }
    }

    /// - Throws: `StatusError` 400 when no container is named among several, or one that is not there.
    private static func container(of pod: JSONValue, asked: String?) throws(StatusError) -> String {
        func names(_ field: String) -> [String] {
            (pod.value(at: ["spec", field])?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        }
        let main = names("containers")
        guard let asked, !asked.isEmpty else {
            if main.count == 1, let only = main.first { return only }
            throw .badRequest(
                "a container name must be specified for pod \(pod.name), choose one of: [\(main.joined(separator: " "))]"
            )
        }
        guard (main + names("initContainers")).contains(asked) else {
            throw .badRequest("container \(asked) is not valid for pod \(pod.name)")
        }
        return asked
    }

    /// The number of the run to read; `nil` when the container has written nothing and never will.
    private static func run(
        in directory: String, wantsPrevious: Bool, _ pod: JSONValue, _ container: String
    ) throws(StatusError) -> Int? {
        // A directory that is absent holds no run.
        let files = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        let runs = files.filter { $0.hasSuffix(".log") }.compactMap { Int($0.dropLast(4)) }
        let status = statuses(pod).first { $0["name"]?.stringValue == container }
        let isWaiting = status?.value(at: ["state", "waiting"]) != nil
        guard let newest = runs.max() else {
            if wantsPrevious { throw noPrevious(pod, container) }
            let reason =
                status?.value(at: ["state", "waiting", "reason"])?.stringValue ?? "ContainerCreating"
            throw .badRequest(
                "container \"\(container)\" in pod \"\(pod.name)\" is waiting to start: \(reason)")
        }
        guard wantsPrevious else { return newest }
        // While the next run is waiting for its back-off, the newest file is the previous run's.
        let restarts = status?["restartCount"]?.intValue ?? newest
        let previous = isWaiting && newest <= restarts ? newest : newest - 1
        guard runs.contains(previous) else { throw noPrevious(pod, container) }
        return previous
    }

    private static func noPrevious(_ pod: JSONValue, _ container: String) -> StatusError {
        .badRequest("previous terminated container \"\(container)\" in pod \"\(pod.name)\" not found")
    }
}
