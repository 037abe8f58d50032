"""Files of networks: BIF and XMLBIF."""
