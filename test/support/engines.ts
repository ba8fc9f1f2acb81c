import { test } from 'node:test';
import { makePostgres, NO_POSTGRES, postgresPrograms } from './postgres.ts';
import { startServer, type Server, type ServerOptions } from './server.ts';

type StartServer = (options?: Omit<ServerOptions, 'database' | 'copies'>) => Promise<Server>;

/** Declares a test twice: with homeservers on SQLite, and on PostgreSQL where it is found. `skip` says why it cannot run. */
export const onEachEngine = (
  name: string,
  body: (startOnEngine: StartServer) => Promise<void>,
  { skip = false }: { readonly skip?: string | false } = {},
): void => {
  void test(`${name} (SQLite)`, { skip }, () => body((options) => startServer(options)));
  void test(`${name} (PostgreSQL)`, { skip }, async (context) => {
    if (postgresPrograms() === undefined) {
      context.skip(NO_POSTGRES);
      return;
    }
    const { config, drop, ...copies } = await makePostgres('empty');
    try {
      await body((options) => startServer({ ...options, database: { ...config }, copies }));
    } finally {
      await drop();
    }
  });
};
