// Users of a project, by whatever is known of them.
import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { answer, client } from '../api';
import { useLoad } from '../load';
import { Badge, Button, Card, Choice, Pager, Shown, Table, Text, Title, When } from '../ui';

export function useProjects() {
  return useLoad((signal) => answer(client.GET('/projects', { signal })), []);
}

export function Users() {
  const { query, route } = useLocation();
  const projects = useProjects();
  const project = query.projectID || projects.data?.projects[0]?.projectID || '';
  const page = Number(query.page) || 1;
  const wanted = query.query ?? '';
  const [text, type] = useState(wanted);
  const go = (to: Record<string, string>) => route('/console/users?' + new URLSearchParams(Object.fromEntries(Object.entries(to).filter(([, v]) => v))));
  return (
    <>
      <Title>Users</Title>
      <Shown of={projects}>
        {({ projects: all }) => (
          <>
            <Card>
              <form class="search" onSubmit={(event) => { event.preventDefault(); go({ projectID: project, query: text.trim() }); }}>
                <Choice label="Project" value={project} onChange={(to) => go({ projectID: to, query: wanted })} options={all.map((p): [string, string] => [p.projectID, `${p.name || p.projectID}`])} />
                <Text label="Who" value={text} onInput={type} placeholder="ada@example.com, usr-…" hint="A user ID, identifier, name, or WebAuthn credential ID" />
                <div class="row"><Button submit kind="main">Find</Button></div>
              </form>
            </Card>
            {project && <Found project={project} query={wanted} page={page} go={(to) => go({ projectID: project, query: wanted, page: String(to) })} />}
          </>
        )}
      </Shown>
    </>
  );
}

function Found({ project, query, page, go }: { project: string; query: string; page: number; go: (page: number) => void }) {
  const loaded = useLoad((signal) => answer(client.GET('/projects/{projectID}/users', { params: { path: { projectID: project }, query: { ...(query && { query }), page, pageSize: 50 } }, signal })), [project, query, page]);
  return (
    <Card>
      <Shown of={loaded} rows={8}>
        {({ users, paging }) => (
          <>
            <Table
              caption="Users" name="users" rows={users} find={false} sorted perPage={1000} identify={(u) => u.userID} empty={query ? `Nobody is known by “${query}”.` : 'The project has no users yet.'}
              columns={[
                { label: 'User', value: (u) => u.userID, cell: (u) => <a href={`/console/users/${project}/${u.userID}`}>{u.userID}</a> },
                { label: 'Name', value: (u) => u.fullName },
                { label: 'Identifiers', value: (u) => u.identifiers.map((i) => i.value).join(' '), cell: (u) => u.identifiers.map((i) => i.value).join(', ') },
                { label: 'Status', value: (u) => u.status, cell: (u) => <Badge tone={u.status === 'active' ? 'good' : u.status === 'disabled' ? 'bad' : 'plain'}>{u.status}</Badge> },
                { label: 'Since', value: (u) => u.created, cell: (u) => <When at={u.created} /> },
              ]}
            />
            {paging.totalPages > 1 && <Pager page={paging.page} pages={paging.totalPages} items={paging.totalItems} go={go} />}
          </>
        )}
      </Shown>
    </Card>
  );
}
