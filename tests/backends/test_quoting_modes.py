"""Sessions that change how the server reads literals: values stay values, or the session is given up."""

import pytest

import servers
from nexusql import ConfigError, DatabaseManager

HOSTILE = ("\\", "\\'", "\\' , 'x' -- ", "'", "a\\b")


@pytest.mark.parametrize("began", ["on", "off"])
@pytest.mark.parametrize("turned", ["on", "off"])
def test_values_are_quoted_for_the_mode_or_the_session_is_closed(began: str, turned: str) -> None:
    servers.require("postgresql")
    url = f"{servers.server_url('postgresql')}?options=-c%20standard_conforming_strings%3D{began}"
    with DatabaseManager(f"{url}%20-c%20escape_string_warning%3Doff", pool_max=1) as db:
        setting = f"SET standard_conforming_strings = {turned}"
        if (began, turned) == ("off", "on"):
            with pytest.raises(ConfigError, match="psycopg2 cannot quote for it"), db.transaction():
                db.execute(setting)
            assert db.execute("SELECT :v AS v", {"v": HOSTILE[2]}) == [{"v": HOSTILE[2]}]
            return
        with db.transaction():
            db.execute(setting)
            for value in HOSTILE:
                assert db.execute("SELECT :v AS v", {"v": value}) == [{"v": value}]
