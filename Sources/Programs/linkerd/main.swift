import ArgumentParser
import MeshCLI

await LinkerdCommand.main()
