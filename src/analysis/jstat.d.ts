/** The part of jstat (which ships no types) that the analysis uses. */
declare module 'jstat' {
  const jstat: {
    readonly jStat: {
      readonly beta: { inv(probability: number, alpha: number, beta: number): number }
      readonly normal: { inv(probability: number, mean: number, sd: number): number }
      /** log of the beta function. */
      betaln(a: number, b: number): number
    }
  }
  export default jstat
}
