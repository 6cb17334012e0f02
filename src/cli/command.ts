// The contract of a command, and what it is given of the world around it, so that a test can be that world.

/** What a command is given of the world around it. */
export interface Surroundings {
  /** Prints a line of the answer. */
  say(line: string): void
  /** Prints a line that is no answer: what is wrong, and what to do. */
  complain(line: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Loads a package that the user has installed, or a module of Node. */
  load(name: string): Promise<object>
}

/** A command: its one line in the list, and what it does. */
export interface Command {
  readonly summary: string
  readonly help: string
  run(args: readonly string[], surroundings: Surroundings): Promise<void>
}

/** A command that was called in a wrong way: exit code 2, and where to read how. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
