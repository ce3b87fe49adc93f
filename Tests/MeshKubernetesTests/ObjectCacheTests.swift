import Logging
import MeshKubernetes
import Testing

private typealias PodCache = ObjectCache<Pod>

private func withCache(
    _ lists: [String], _ body: @escaping @Sendable (FakeAPI, ObjectCache<Pod>) async throws -> Void
) async throws {
    try await FakeAPI.run { api, url in
        api.lists(lists)
        let logger = Logger(label: "test")
        let client = try KubernetesClient(config: KubernetesConfig(server: url), logger: logger)
        let cache = ObjectCache<Pod>(client: client, logger: logger)
        let running = Task { await cache.run() }
        do { try await body(api, cache) } catch {
            running.cancel()
            await client.shutdown()
            throw error
        }
        running.cancel()
        await running.value
        await client.shutdown()
    }
}

extension ObjectCache where T == Pod {
    fileprivate var names: [String] { snapshot().keys.map(\.name).sorted() }
}

@Suite("Object cache", .timeLimit(.minutes(1))) struct ObjectCacheTests {
    @Test("Events change the cache, and each change moves the generation")
    func follows() async throws {
        try await withCache([podList(version: 5, podJSON("a", version: 1))]) { api, cache in
            try await eventually { cache.isSynced && api.watches.count == 1 }
            let generation = cache.generation
            api.send(#"{"type":"ADDED","object":\#(podJSON("b", version: 6))}"#)
            try await eventually { cache.names == ["a", "b"] }
            api.send(#"{"type":"DELETED","object":\#(podJSON("a", version: 7))}"#)
            try await eventually { cache.names == ["b"] }
            #expect(cache.generation == generation + 2)
            #expect(cache[ObjectKey(namespace: "default", name: "b")]?.metadata.uid == "uid-b")
        }
    }

    @Test("A watch that ends resumes after the last bookmark without listing again")
    func resumes() async throws {
        try await withCache([podList(version: 5)]) { api, cache in
            try await eventually { api.watches.count == 1 }
            api.send(#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"42"}}}"#)
            api.endWatches()
            try await eventually {
                api.watches.count == 1 && api.watches[0].target.contains("resourceVersion=42")
            }
            #expect(api.requests.filter { !$0.contains("watch=true") }.count == 1)
        }
    }

    @Test("410 as an answer or as an event leads to a new list")
    func relistsWhenGone() async throws {
        let lists = [
            podList(version: 5, podJSON("a", version: 1)), podList(version: 9, podJSON("b", version: 8)),
            podList(version: 12, podJSON("c", version: 11)),
        ]
        try await FakeAPI.run { api, url in
            api.lists(lists)
            api.refuseWatches(1)
            let logger = Logger(label: "test")
            let client = try KubernetesClient(config: KubernetesConfig(server: url), logger: logger)
            let cache = ObjectCache<Pod>(client: client, logger: logger)
            let running = Task { await cache.run() }
            try await eventually { cache.names == ["b"] && api.watches.count == 1 }
            api.send(
                #"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#
            )
            try await eventually { cache.names == ["c"] }
            running.cancel()
            await running.value
            await client.shutdown()
        }
    }

    @Test("A lost connection keeps the last state and leads to a new list")
    func survivesDisconnect() async throws {
        let lists = [
            podList(version: 5, podJSON("a", version: 1)),
            podList(version: 6, podJSON("a", version: 1), podJSON("b", version: 6)),
        ]
        try await withCache(lists) { api, cache in
            try await eventually { api.watches.count == 1 }
            let feed = cache.changeFeed()
            #expect(feed.drain() == .everything)
            api.cutWatches()
            #expect(cache.names.contains("a"))
            try await eventually { cache.names == ["a", "b"] }
            #expect(feed.drain() == .keys([ObjectKey(namespace: "default", name: "b")]))
        }
    }

    @Test("Every subscriber gets a first tick and one for later changes, several merged into one")
    func ticks() async throws {
        try await withCache([podList(version: 5)]) { api, cache in
            try await eventually { api.watches.count == 1 }
            let feeds = [cache.changeFeed(), cache.changeFeed()]
            var iterators = feeds.map { $0.ticks.makeAsyncIterator() }
            for index in iterators.indices { #expect(await iterators[index].next() != nil) }
            for feed in feeds { #expect(feed.drain() == .everything) }
            for version in 6...20 {
                let pod = podJSON("p\(version)", version: version)
                api.send(#"{"type":"ADDED","object":\#(pod)}"#)
            }
            try await eventually { cache.count == 15 }
            for index in iterators.indices { #expect(await iterators[index].next() != nil) }
            for feed in feeds {
                guard case .keys(let keys) = feed.drain() else {
                    Issue.record("expected keys")
                    continue
                }
                #expect(keys.count == 15)
            }
        }
    }

    @Test("A kind that the server does not know counts as empty")
    func unknownKind() async throws {
        try await withCache([]) { _, cache in
            try await eventually { cache.isSynced }
            #expect(cache.count == 0)
        }
    }
}
