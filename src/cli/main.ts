// The command line: which command, and what its outcome is as an exit code. Each command is a file; this one has no
// opinion on what they do.

import { type Command, type Surroundings, UsageError } from './command.ts'
import { createCacheTable } from './create-cache-table.ts'

const commands: ReadonlyMap<string, Command> = new Map([['createcachetable', createCacheTable]])

const usage = `tierwheel <command> [options]

Commands:
${[...commands].map(([name, { summary }]) => `  ${name.padEnd(18)} ${summary}`).join('\n')}

tierwheel <command> --help says more about one.`

/**
 * Runs a command line.
 *
 * @param args - Without the program and its script.
 * @returns The exit code: 0 done, 1 failed, 2 called in a wrong way.
 */
export async function main(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const say = name === undefined ? surroundings.complain : surroundings.say
    say(usage)
    return name === undefined ? 2 : 0
  }
  const command = commands.get(name)
  if (command === undefined) {
    surroundings.complain(`tierwheel: there is no command ${JSON.stringify(name)}\n\n${usage}`)
    return 2
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    surroundings.say(command.help)
    return 0
  }
  try {
    await command.run(rest, surroundings)
    return 0
  } catch (error) {
    const isUsage = error instanceof UsageError
    surroundings.complain(`tierwheel ${name}: ${toldOf(error)}`)
    if (isUsage) surroundings.complain(`tierwheel ${name} --help says how it is called`)
    return isUsage ? 2 : 1
  }
}

/** Why, without the password of an address that may stand in it. */
function toldOf(error: unknown): string {
  const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown }
  const told = typeof message === 'string' && message !== '' ? message : String(code ?? error)
  return told.replace(/\/\/[^@/\s]*@/g, '//')
}
