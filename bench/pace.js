// @ts-check
/**
 * How long a run takes: the whole one or a look, with as many rounds as were asked for.
 *
 * @template {{ rounds: number }} Pace
 * @param {{ quick: boolean, rounds?: string | undefined }} asked as the command line has it
 * @param {Pace} full
 * @param {Pace} quick
 * @returns {Pace}
 * @throws Error for rounds that are no count
 */
export function paceOf(asked, full, quick) {
  const pace = asked.quick ? quick : full
  const rounds = asked.rounds === undefined ? pace.rounds : Number(asked.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds: ${asked.rounds} is not a count`)
  return { ...pace, rounds }
}
