// What an operator does once: say which hosts the Frontend API of each project is reached at, and create the other project, whose kill switch is on.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyward, pageOrigin, project, rpID } from './settings.mjs';

export const otherProject = { id: 'pro-2', secret: '' };

export async function prepare() {
  const directory = await mkdtemp(join(tmpdir(), 'frontend-'));
  const description = join(directory, 'frontend.yaml');
  await writeFile(description, 'hosts: ["*.auth.shop.example"]\n');
  await keyward('project', 'frontend', 'set', '--project', project, description);
  await rm(directory, { recursive: true });
  const made = JSON.parse(await keyward('project', 'create', '--id', otherProject.id, '--rp-id', rpID, '--origin', pageOrigin, '--output', 'json'));
  otherProject.secret = made.apiSecret ?? made.secret;
}
