-- Who approved how much is answered from one index. See docs/compliance.md.

-- The kind of the grant; NULL in rows that an earlier release's fold made.
ALTER TABLE hands ADD COLUMN kind text;

-- All that is counted of an approval lies in the index: where vacuum has been, no row is looked up.
DROP INDEX hands_approver;
CREATE INDEX hands_approver ON hands (tenant_id, generation, person, at)
    INCLUDE (kind, position, grant_id, case_id, imported, party) WHERE act = 'approved' AND void IS NULL;
