extension RollupKey {
    /// What stands for it past a budget: the honest `other` of its workload. Objects have none; they are bounded by
    /// the pods there are.
    public var folded: RollupKey {
        switch self {
        case .object: self
        case .edge(let key): .edge(key.folded)
        case .route(let key): .route(key.folded)
        case .arrival(let key): .arrival(key.folded)
        case .request(let key): .request(key.folded)
        }
    }
}
