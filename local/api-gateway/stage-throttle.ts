import type { Clock } from '../engine.ts';
import type { StageDefinition, Throttle } from './definition.ts';

/** A token bucket, as API Gateway limits requests. */
class Bucket {
  readonly #limit: Throttle;
  readonly #clock: Clock;
  #tokens: number;
  #at: number;

  constructor(limit: Throttle, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
    this.#tokens = limit.burst;
    this.#at = clock.now();
  }

  take(): boolean {
    const now = this.#clock.now();
    const { ratePerSecond, burst } = this.#limit;
    this.#tokens = Math.min(burst, this.#tokens + (Math.max(0, now - this.#at) / 1000) * ratePerSecond);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/**
 * Limits of a stage. A route with settings has a separate bucket; all others share the bucket of the stage. AWS documents
 * both as best effort; here they are exact.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-protect.html
 */
export class StageThrottle {
  readonly #shared: Bucket | undefined;
  readonly #routes: ReadonlyMap<string, Bucket>;

  constructor({ shared, routes }: StageDefinition['throttling'], clock: Clock) {
    this.#shared = shared && new Bucket(shared, clock);
    this.#routes = new Map(Object.entries(routes).map(([key, limit]) => [key, new Bucket(limit, clock)]));
  }

  admits(routeKey: string): boolean {
    return (this.#routes.get(routeKey) ?? this.#shared)?.take() ?? true;
  }
}
