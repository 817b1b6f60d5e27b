"""Which bugs there are, and what has to go from the database for them. Needs no Django."""

BUG = "SOAK_BUG"
BUGS = ("no_unique_ticket", "no_check", "ack_before_commit", "redis_believed")

_NO_CHECK = "ALTER TABLE inventory_stock DROP CONSTRAINT stock_never_oversold"
_NO_UNIQUE = """
    DO $$ DECLARE found record; BEGIN
        FOR found IN
            SELECT conrelid::regclass AS owner, conname FROM pg_constraint
            JOIN pg_attribute ON attrelid = conrelid AND conkey = ARRAY[attnum]
            WHERE contype = 'u' AND attname = 'ticket_id'
              AND conrelid IN ('orders_order'::regclass, 'orders_ticket'::regclass)
        LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.owner, found.conname);
        END LOOP;
    END $$"""

DROPPED: dict[str | None, tuple[str, ...]] = {
    "no_unique_ticket": (_NO_UNIQUE.replace("%", "%%"),),
    "no_check": (_NO_CHECK,),
    "redis_believed": (_NO_CHECK,),
}


def environment(bug: str | None = None) -> dict[str, str]:
    """What a shop's processes find in their environment: the soak's settings, with the bug if any."""
    if bug is None:
        return {"DJANGO_SETTINGS_MODULE": "benchmarks.soak.settings"}
    return {BUG: bug, "DJANGO_SETTINGS_MODULE": "benchmarks.soak.planted.settings"}
