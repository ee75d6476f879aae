import { SignatureV4 } from '@smithy/signature-v4';

/** Replaces signatures for several Regions: no function calls a global endpoint of EventBridge. */
export class SignatureV4MultiRegion extends SignatureV4 {
  static sigv4aDependency(): 'none' {
    return 'none';
  }
}
