// Field selectors: `metadata.name=web,status.phase!=Running`. Only fields that a kind declares can be
// selected on; any other name is an error, as in Kubernetes, rather than an empty answer.

import MeshModel

/// A parsed field selector: all requirements must hold.
struct FieldSelector: Sendable, Hashable {
    /// One requirement on one field.
    struct Requirement: Sendable, Hashable {
        let path: [String]
        let value: String
        let isEqual: Bool
    }

    let requirements: [Requirement]

    static let everything = FieldSelector(requirements: [])

    init(requirements: [Requirement]) { self.requirements = requirements }

    /// Parses the text form for a kind.
    ///
    /// - Throws: `StatusError` 400 when malformed, or when the kind does not know the field.
    init(parsing text: String, kind: KindDescription) throws(StatusError) {
        var requirements: [Requirement] = []
        for part in text.split(separator: ",") {
            guard let requirement = Self.requirement(String(part)) else {
                throw .badRequest("invalid field selector: \"\(part)\"; can't understand \"\(part)\"")
            }
            let name = requirement.path.joined(separator: ".")
            let isKnown =
                name == "metadata.name" || (name == "metadata.namespace" && kind.isNamespaced)
                || kind.selectableFields.contains(name)
            guard isKnown else {
                throw .badRequest("field label not supported: \(name)")
            }
            requirements.append(requirement)
        }
        self.requirements = requirements
    }

    private static func requirement(_ text: String) -> Requirement? {
        for separator in ["!=", "==", "="] {
            guard let range = text.firstRange(of: separator) else { continue }
            let path = text[..<range.lowerBound].split(separator: ".").map(String.init)
            let value = text[range.upperBound...].replacing("\\", with: "")
            return path.isEmpty
                ? nil : Requirement(path: path, value: String(value), isEqual: separator != "!=")
        }
        return nil
    }

    /// The name that objects must have, when the selector fixes it: such lists read one row.
    var name: String? {
        requirements.first { $0.isEqual && $0.path == ["metadata", "name"] }?.value
    }

    /// Whether an object satisfies every requirement. An absent field equals the empty text.
    func matches(_ object: JSONValue) -> Bool {
        requirements.allSatisfy { requirement in
            (Self.text(object, requirement.path) == requirement.value) == requirement.isEqual
        }
    }

    private static func text(_ object: JSONValue, _ path: [String]) -> String {
        // `source` of Events is the component's name.
        let value = path == ["source"] ? object.value(at: ["source", "component"]) : object.value(at: path)
        return switch value {
        case .string(let text): text
        case .int(let number): String(number)
        case .bool(let flag): String(flag)
        default: ""
        }
    }
}

/// What a list or a watch selects.
struct ObjectSelector: Sendable, Hashable {
    var labels = LabelSelector.everything
    var fields = FieldSelector.everything

    /// Whether everything is selected, so that stored bytes can be passed on unread.
    var isEverything: Bool { labels.requirements.isEmpty && fields.requirements.isEmpty }

    func matches(_ object: JSONValue) -> Bool {
        labels.matches(object.value(at: ["metadata", "labels"])) && fields.matches(object)
    }
}
