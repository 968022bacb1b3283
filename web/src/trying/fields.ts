// Which field of a form is at fault, of what an answer says.
import type { BlockBody, IdentifierType } from './types';

/** The name of the form's field that a field of the request is: identifiers[0].identifier is the first identifier that was sent. */
export function signupField(field: string, identifiers: { type: IdentifierType }[]): string {
  if (field.startsWith('fullName')) return 'fullName';
  const index = /^identifiers\D*(\d+)/.exec(field)?.[1];
  if (index !== undefined) return identifiers[Number(index)]?.type ?? '';
  return identifiers.find((i) => field.includes(i.type))?.type ?? (field.startsWith('identifier') ? identifiers[0]?.type ?? '' : '');
}

/** What a block says is wrong with its fields. */
export function faultsOf(body: BlockBody): Record<string, string> {
  const faults: Record<string, string> = {};
  const data = body.data;
  switch (data.blockType) {
    case 'signup-init':
      if (data.fullName?.error) faults['fullName'] = data.fullName.error.message;
      for (const i of data.identifiers) if (i.error) faults[i.type] = i.error.message;
      break;
    case 'login-init':
      if (data.fieldError) faults['identifier'] = data.fieldError.message;
      break;
    case 'email-verify':
    case 'phone-verify':
      if (data.error) faults['code'] = data.error.message;
      break;
  }
  return faults;
}
