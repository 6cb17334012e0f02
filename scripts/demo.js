// @ts-check
/** `npm run demo`: builds what has changed, then runs examples/demo. `npm run demo -- --help` lists the options. */
import { runDemo } from '../examples/demo/main.js'
import { readOptions, usage } from '../examples/demo/options.js'
import { build } from './build.js'

process.exitCode = await main(process.argv.slice(2))

/**
 * @param {string[]} args
 * @returns {Promise<number>} the exit status
 */
async function main(args) {
  let options
  try {
    options = readOptions(args)
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`)
    return 2
  }
  if (options === 'help') {
    console.log(usage)
    return 0
  }
  return (await build()) ? runDemo(options) : 1
}
