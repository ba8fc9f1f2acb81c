/** What became of an event: the bits for `facts`, and the sentence for the operator. */
export interface Judgement {
  readonly facts: number;
  readonly fault: string | undefined;
}
