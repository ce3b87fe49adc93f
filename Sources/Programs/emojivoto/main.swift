// The demo application. Which part runs is the first argument, or the name it was started under:
// `emojivoto web`, or a link named `emojivoto-vote-bot`.

let startedAs = CommandLine.arguments.first.map { String($0.split(separator: "/").last ?? "") } ?? ""
let impliedParts = [
    "emojivoto-web": "web", "emojivoto-emoji-svc": "emoji", "emojivoto-voting-svc": "voting",
    "emojivoto-vote-bot": "vote-bot",
]
let implied = impliedParts[startedAs].map { [$0] } ?? []

await DemoProcess.run(implied + CommandLine.arguments.dropFirst())
