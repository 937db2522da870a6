-- customers.email becomes encrypted; carried says that its row was written since.
ALTER TABLE public.customers
	ALTER COLUMN email TYPE bytea USING convert_to(email, 'UTF8'),
	ALTER COLUMN email DROP NOT NULL,
	ADD COLUMN email_bidx bytea,
	ADD COLUMN carried boolean NOT NULL DEFAULT false,
	DROP CONSTRAINT customers_email_key;
CREATE UNIQUE INDEX ON public.customers (tenant_id, email_bidx);
