import { logger, type Logger } from 'matrix-js-sdk/lib/logger.js';

const nothing = (): void => undefined;

/** A logger for matrix-js-sdk that says nothing. */
export const quiet: Logger = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing, getChild: () => quiet };

// Parts of the SDK use its own logger whatever they are given; loggers made after this take its methods, so import this before the SDK.
const own = Object.assign(logger, { methodFactory: () => nothing }) as typeof logger & { rebuild?: () => void };
own.rebuild?.();
