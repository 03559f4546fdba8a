-- What users of a domain may change of their own: see 0018_self_service.sql of SQLite.
-- Programs that know schema 6 can go on.
ALTER TABLE domains ADD COLUMN self_service text COLLATE "C" CHECK (char_length(self_service) <= 256);

CREATE TRIGGER auth_domain_self_service AFTER UPDATE OF self_service ON domains
   FOR EACH STATEMENT EXECUTE FUNCTION auth_count();

CREATE OR REPLACE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE OF
    domainname, displayname, org_id, max_user, title, address, admin_name, tel, end_day, domain_status, chat,
    sync_policy, disabled_plugins, self_service
    ON domains FOR EACH ROW EXECUTE FUNCTION note_change('domain', 'id');
