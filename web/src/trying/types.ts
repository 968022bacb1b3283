// What the page reads of the Frontend API, as api/frontend.yaml describes it.

export type IdentifierType = 'email' | 'phone' | 'username';
/** How a login start came about, for the policy. */
export type LoginSource = 'button' | 'other-device' | 'error-soft';
export type VerificationMethod = 'email-link' | 'email-otp' | 'phone-otp';

export interface RequestError { code: string; message: string }
export interface FieldError { field: string; message: string }

export interface ErrorBody {
  message?: string;
  requestData?: { requestID?: string };
  data?: { signals?: Signals };
  error?: { type: string; details?: string; validation?: FieldError[] };
}

export interface IdentifierData { type: IdentifierType; identifier: string; receivesCodes?: boolean; error?: RequestError }

export interface SignupInit {
  blockType: 'signup-init';
  identifiers: IdentifierData[];
  fullName?: { fullName: string; error?: RequestError };
  error?: RequestError;
}

export interface Signals {
  rpID: string;
  userID?: string;
  allAcceptedCredentialIDs?: string[];
  name?: string;
  displayName?: string;
  unknownCredentialID?: string;
}

export interface LoginInit {
  blockType: 'login-init';
  conditionalUIChallenge?: string;
  identifierValue: string;
  isPhone: boolean;
  isPhoneAvailable: boolean;
  isEmailAvailable: boolean;
  isUsernameAvailable: boolean;
  fieldError?: RequestError;
  error?: RequestError;
  signals?: Signals;
}

export interface PasskeyAppend {
  blockType: 'passkey-append' | 'passkey-append-after-hybrid';
  challenge: string;
  identifierValue: string;
  autoSubmit: boolean;
  onlyWayBack?: boolean;
  variant: 'default' | 'after-hybrid' | 'after-error' | 'after-no-credential';
}

export interface PasskeyAppended { blockType: 'passkey-appended' }

export interface PasskeyVerify { blockType: 'passkey-verify'; challenge: string; identifierValue: string; loginHint?: 'cda'; otherDevice?: string }

export interface VerifyIdentifier {
  blockType: 'email-verify' | 'phone-verify';
  verificationMethod: VerificationMethod;
  identifier: string;
  retryNotBefore?: number;
  error?: RequestError;
  alternativeVerificationMethods: { verificationMethod: VerificationMethod; identifier: string }[];
  isPostLoginVerification: boolean;
}

export interface PostSignupEmailVerify { blockType: 'post-signup-email-verify'; error?: RequestError }

export interface Completed {
  blockType: 'completed';
  sessionToken: string;
  refreshToken?: string;
}

export type BlockData =
  | SignupInit | LoginInit | PasskeyAppend | PasskeyAppended | PasskeyVerify | VerifyIdentifier | PostSignupEmailVerify | Completed;

export interface BlockBody {
  block: string;
  authType: 'signup' | 'login';
  data: BlockData;
  alternatives?: BlockBody[];
  error?: RequestError;
  continueOnOtherDevice?: { reason: string };
}

export interface ProcessResponse {
  blockBody: BlockBody;
  common: { appName: string; environment: string };
  newProcess?: { token: string };
}

export interface ProcessInit { token: string; processResponse: ProcessResponse; newClientEnvHandle?: string }

export interface Me {
  id: string;
  fullName: string;
  identifiers: { id: string; value: string; type: IdentifierType; status: 'pending' | 'primary' | 'verified' }[];
  signals?: Signals;
}

export interface Passkey {
  id: string;
  credentialID: string;
  backupState: boolean;
  sourceOS: string;
  sourceBrowser: string;
  createdMs: number;
  lastUsedMs: number;
  aaguidDetails: { name: string; iconLight: string; iconDark: string };
}

export interface AppendStart {
  attestationOptions: string;
  appendNotAllowedReason?: 'passkey_already_exists' | 'passkeys_not_supported';
  newClientEnvHandle?: string;
}

export interface Refreshed { sessionToken: string; refreshToken?: string }

export interface TrialRow { row: string; tag: string; title: string; why: string; story?: string[]; outcome: 'answered' | 'passed' }
export interface TrialFact { path: string; title: string; value: string }

export interface TrialPasskey { credentialID: string; kind: string; provider?: string; where: string; why: string; localReason?: string; byPhoneReason?: string; shut?: string[]; history?: string[] }

export interface TrialCause { heading: string; items: { text: string; events: string[] }[] }

export interface TrialDecision {
  decisionID: string;
  action: 'login' | 'append' | 'mediation' | 'rollout';
  createdMs: number;
  allow: boolean;
  tag: string;
  row: string;
  title: string;
  reason: string;
  story?: string[];
  policyRevision: string;
  rows: TrialRow[];
  facts: TrialFact[];
  historyData: Record<string, unknown>;
  passkeys?: TrialPasskey[];
  client?: { system: string; browser: string };
  lists?: string[];
  causes?: TrialCause[];
}

export interface TrialEvent {
  passkeyEventID: string;
  eventType: string;
  createdMs: number;
  processID?: string;
  credentialID?: string;
  clientEnvID?: string;
}

/** Kinds of events that the page reports: what only the browser can know of a ceremony. */
export type ClientEvent =
  | 'login-explicit-abort' | 'login-error' | 'login-no-credentials' | 'append-explicit-abort' | 'append-error' | 'append-credential-exists';
