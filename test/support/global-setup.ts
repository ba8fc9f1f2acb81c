import { makeTemplate, offerCluster, postgresPrograms, startCluster } from './postgres.ts';

// For `node --test --test-global-setup`: one PostgreSQL server for all test files of a run.

let stop: (() => Promise<void>) | undefined;

export const globalSetup = async (): Promise<void> => {
  if (postgresPrograms() === undefined) return;
  const cluster = await startCluster();
  ({ stop } = cluster);
  await makeTemplate(cluster);
  offerCluster(cluster);
};

export const globalTeardown = async (): Promise<void> => {
  await stop?.();
};
