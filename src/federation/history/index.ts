export { createBackfill } from '#src/federation/history/backfill.ts';
export { createQuestions } from '#src/federation/history/questions.ts';
