package import MeshRollup
import RollupStore

extension StoreBackend {
    package func requests(_ query: SampleQuery) async throws -> [RequestKey: Rollup] {
        do {
            return try await store.totals(
                .requests, in: query.window.readWindow, now: query.window.now, keepsPods: false
            ) { key in
                guard case .request(let request) = key else { return nil as RequestKey? }
                return query.matches(src: request.src, dst: request.dst) ? request : nil
            }.rollups
        } catch {
            throw BackendError("the rollup store cannot be read: \(error)")
        }
    }

    package func exemplars(_ filter: ExemplarFilter, _ window: StatWindow) async throws -> ExemplarLists {
        do { return try await store.exemplars(filter, in: window.readWindow) } catch {
            throw BackendError("the rollup store cannot be read: \(error)")
        }
    }
}
