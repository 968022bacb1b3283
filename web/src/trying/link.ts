// Links in emails, which may be opened in another browser than the one that waits for it.

/** What a link says of itself. */
export interface Link { token: string; process: string; identifier: string }

/** The link that the page was opened with, if any. It is taken out of the address, so that it is opened once and shown to nobody. */
export function openedLink(): Link | undefined {
  const parameters = new URLSearchParams(location.search);
  const id = parameters.get('corbadoEmailLinkID');
  const token = parameters.get('corbadoToken');
  if (!id || !token) return undefined;
  history.replaceState(null, '', location.pathname);
  try {
    const { process, blockData } = JSON.parse(atob(id)) as { process: { tempId: string }; blockData: { identifier: string } };
    return { token, process: process.tempId, identifier: blockData.identifier };
  } catch {
    return undefined; // the link was cut short
  }
}
