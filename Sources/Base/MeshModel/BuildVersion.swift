/// The version that programs, images and annotations carry.
public enum BuildVersion {
    /// Semantic version of this source tree.
    public static let current = "0.1.0"
}
