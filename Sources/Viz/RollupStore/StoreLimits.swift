public import MeshRollup

/// How much history a store keeps: by age and by bytes, whichever is reached first. The oldest goes first.
public struct StoreLimits: Sendable, Equatable {
    /// Bytes that the file may take, free pages inside not counted. The default leaves room for the write-ahead
    /// log on a volume of 2 GiB.
    public var fileBytesMax: Int64 = 1_900_000_000
    /// How long each tier is kept, in milliseconds.
    public var retentionMilliseconds: [Tier: Int64] = [:]

    /// How long the sampled requests of each tier are kept; never longer than the tier.
    public var sampleRetentionMilliseconds: [Tier: Int64] = [.minute: 3 * 86_400_000, .hour: 30 * 86_400_000]
    /// How long exemplars are kept.
    public var exemplarRetentionMilliseconds: Int64 = 14 * 86_400_000

    /// The smallest file that holds an hour of a small mesh.
    public static let fileBytesMin: Int64 = 16 << 20

    /// The defaults: 1.9 GB, 6 hours, 14 days, 13 months.
    public init() {}

    /// How long the chunks of `tier` are kept.
    public func retention(of tier: Tier) -> Int64 { retentionMilliseconds[tier] ?? tier.retentionMilliseconds }

    /// How long the chunks of one family are kept in `tier`.
    public func retention(of tier: Tier, _ family: KeyFamily) -> Int64 {
        guard family == .requests, let samples = sampleRetentionMilliseconds[tier] else { return retention(of: tier) }
        return min(samples, retention(of: tier))
    }

    /// Bytes that exemplars may take.
    public var exemplarBytesMax: Int64 { fileBytesMax / 100 * 3 }

    /// Bytes that the chunks of `tier` may take. What is left of the file is for keys, cursors, the journal
    /// and exemplars.
    public func bytesMax(of tier: Tier) -> Int64 {
        switch tier {
        case .tenSeconds: fileBytesMax / 100 * 26
        case .minute: fileBytesMax / 100 * 52
        case .hour: fileBytesMax / 100 * 14
        }
    }
}
